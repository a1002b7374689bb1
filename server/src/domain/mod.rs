//! Decisions: pure, synchronous, without I/O and without a clock.

pub mod archive;
pub mod audit;
pub mod email;
pub mod engine;
pub mod entitlement;
pub mod error;
pub mod go_duration;
pub mod id;
pub mod job;
pub mod member;
pub mod name;
pub mod page;
pub mod password;
pub mod permission;
pub mod provisioner_key;
pub mod rate;
pub mod rule;
pub mod search;
pub mod secret;
pub mod tags;
pub mod terraform_state;
pub mod time;
pub mod token;
pub mod user;
pub mod version_name;
mod words;
pub mod workspace;

pub use error::{Error, Result, Violation};
pub use time::Timestamp;

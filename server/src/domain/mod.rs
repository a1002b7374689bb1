//! Decisions: pure, synchronous, without I/O and without a clock.

pub mod engine;
pub mod error;
pub mod id;
pub mod job;
pub mod member;
pub mod permission;
pub mod provisioner_key;
pub mod tags;
pub mod time;
pub mod token;
pub mod user;
pub mod workspace;

pub use error::{Error, Result, Violation};
pub use time::Timestamp;

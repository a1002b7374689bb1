//! Decisions: pure, synchronous, without I/O and without a clock.

pub mod error;
pub mod id;
pub mod permission;
pub mod time;

pub use error::{Error, Result, Violation};
pub use time::Timestamp;

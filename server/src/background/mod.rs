//! Reconcilers: they take no input and look at the world anew in each pass, so that a restart, a second server and the
//! normal course run the same code.

pub mod audit_retention;
pub mod dormancy;
pub mod heartbeat;
pub mod key_watch;
pub mod lease_reaper;
pub mod news;
pub mod notifications;
mod ticks;

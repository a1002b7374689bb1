//! What the server grants to all jobs alike.

use std::time::Duration;

use tokio::time::Instant;

/// How long leases are good for, and since when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// The last sign that the server renewed them.
    pub(crate) renewed: Instant,
    /// Before the apply permit.
    pub(crate) lease: Duration,
    /// After it.
    pub(crate) apply_lease: Duration,
    /// Bytes of log that a job may have.
    pub(crate) log_limit: u64,
}

//! How the daemon is told to end.

use tokio_util::sync::CancellationToken;

/// How the daemon is told to end.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    /// Take no new jobs, and end when the running ones have.
    pub drain: CancellationToken,
    /// Interrupt the running jobs, hand in what they leave, and end.
    pub interrupt: CancellationToken,
}

impl From<CancellationToken> for Stop {
    fn from(drain: CancellationToken) -> Self {
        Self { drain, interrupt: CancellationToken::new() }
    }
}

//! Hands jobs to daemons: sessions, matching, claiming, pushing. Works over the narrow `JobQueue`, so that its rules can be
//! tested without a database.

use tokio::sync::Notify;

/// Knows the connected daemons and gives them what they can do.
#[derive(Debug, Default)]
pub struct Dispatcher {
    work: Notify,
}

impl Dispatcher {
    /// Looks for work at once: a job was made, or a slot got free. Call it after the commit.
    pub fn wake(&self) {
        self.work.notify_one();
    }
}

//! Hands jobs to daemons: sessions, matching, claiming, pushing. Works over the narrow `JobQueue`, so that its rules can be
//! tested without a database.

pub mod memory;
pub mod queue;
pub mod sql;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

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

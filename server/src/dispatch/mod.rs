//! Hands jobs to daemons: sessions, matching, claiming, pushing. Works over the narrow `JobQueue`, so that its rules can be
//! tested without a database.

/// Knows the connected daemons and gives them what they can do.
#[derive(Debug, Default)]
pub struct Dispatcher {}

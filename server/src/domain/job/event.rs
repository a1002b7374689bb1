//! What happens to jobs.

use super::LeaseId;

/// How a daemon says that a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// As it should.
    Succeeded,
    /// Otherwise.
    Failed,
    /// It was interrupted as it was asked to.
    Canceled,
    /// The daemon lost the engine and can't tell.
    Lost,
}

/// Why a daemon gave a job back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// It has enough.
    Full,
    /// It takes no more jobs.
    Draining,
    /// Something of its own is broken.
    Infrastructure,
}

/// Something that happens to a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It was given to a daemon under this lease.
    Claimed(LeaseId),
    /// The holder of the lease may change things from now on.
    Permitted(LeaseId),
    /// Somebody wants it to stop.
    CancelRequested,
    /// The holder of the lease says how it ended.
    ResultReported(LeaseId, Outcome),
    /// Nothing was heard under the lease for too long.
    LeaseLapsed,
    /// An administrator takes it from a daemon that isn't heard of, before the lease lapses.
    Released,
    /// No daemon took it for too long.
    WaitedTooLong,
    /// The server ends it as it should: there is nothing for a daemon to do.
    Waived,
    /// The holder of the lease didn't start it.
    GaveBack(LeaseId, Rejection),
}

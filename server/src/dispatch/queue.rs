//! The narrow door to the jobs: whoever hands them out and takes them back needs nothing else of the store.
//!
//! Two implementations, `sql` and `memory`, pass one conformance suite. Every write about a job that somebody has names
//! the lease, and writes nothing when that isn't the job's.

use async_trait::async_trait;

use crate::domain::Result;
use crate::domain::id::{JobId, OrganizationId};
use crate::domain::job::{
    CancelOutcome, Claimed, Discovery, Finished, Fits, Group, Hold, Live, LogBatch, Permit, Reaped, Rejection, Report,
    Resumed, Slot, StateReference, Status, Terms,
};
use crate::options::Provisioners;

impl From<&Provisioners> for Terms {
    fn from(options: &Provisioners) -> Self {
        Self {
            lease: options.lease,
            apply_lease: options.apply_lost_after,
            max_attempts: i32::try_from(options.max_attempts).unwrap_or(i32::MAX),
            log_limit: i64::try_from(options.log_limit).unwrap_or(i64::MAX),
            contact_lost_after: options.contact_lost_after,
            pending_timeout: options.pending_timeout,
        }
    }
}

/// The jobs, as those see them who hand them out and take them back.
#[async_trait]
pub trait JobQueue: std::fmt::Debug + Send + Sync {
    /// The groups of waiting jobs of these organizations that fit, the one whose first job is next before the others; of
    /// each organization a bounded number.
    async fn groups(&self, organizations: &[OrganizationId], fits: Fits<'_>) -> Result<Vec<Group>>;

    /// Gives the next jobs of a group to slots, at most one each, in the slots' order. One statement.
    async fn claim(&self, group: &Group, slots: &[Slot]) -> Result<Vec<Claimed>>;

    /// Prolongs leases from now; returns those that live. One statement for all.
    async fn renew(&self, holds: &[Hold]) -> Result<Vec<Live>>;

    /// The leases that live, as they are.
    async fn live(&self, holds: &[Hold]) -> Result<Vec<Live>>;

    /// Which of the jobs that a daemon still holds it isn't done with; those that go on are prolonged from now.
    async fn resume(&self, organization: OrganizationId, holds: &[Hold]) -> Result<Vec<Resumed>>;

    /// Stores lines; the number of the last stored one. What is stored already is left out; a gap is an error. Taken of a
    /// job as well that was lost after its permit, as are states.
    async fn append(&self, hold: &Hold, batch: LogBatch) -> Result<i64>;

    /// Stores what an import learned.
    async fn discovered(&self, hold: &Hold, discovery: &Discovery) -> Result<()>;

    /// Asks whether changing things is permitted. `Go` is durable when this returns.
    async fn permit(&self, hold: &Hold, daily_cost: i32) -> Result<Permit>;

    /// Makes a state the build's; the serial of the one that is stored then.
    async fn checkpoint(&self, hold: &Hold, state: &StateReference) -> Result<i64>;

    /// Takes a job back that its daemon didn't start; false when the daemon hasn't it.
    async fn give_back(&self, hold: &Hold, reason: Rejection) -> Result<bool>;

    /// Takes a job back that its daemon, which came back, knows nothing of: it never had it, or has lost it. Only the latter
    /// counts as a loss. Not one that was permitted to change things.
    async fn missed(&self, hold: &Hold) -> Result<()>;

    /// Ends a job of the organization with all that it leaves, or not at all. Refused until its last line is stored.
    async fn finish(&self, organization: OrganizationId, hold: &Hold, report: &Report) -> Result<Finished>;

    /// Ends a job that the server can't hand out; the reason is its error and the last line of its log.
    async fn fail(&self, hold: &Hold, reason: &str) -> Result<Finished>;

    /// Wants a job to stop, if it is in the expected status where one is named.
    async fn request_cancel(&self, job: JobId, expected: Option<Status>) -> Result<CancelOutcome>;

    /// Ends a job whose daemon is out of contact, for somebody of this name; the reason is its error and a line of its log.
    async fn release(&self, job: JobId, by: &str) -> Result<()>;

    /// Takes the jobs whose leases lapsed from their daemons, and ends those that waited too long; a bounded number at a
    /// time.
    async fn reap(&self) -> Result<Vec<Reaped>>;
}

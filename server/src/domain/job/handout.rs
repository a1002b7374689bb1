//! The terms in which jobs are handed out and taken back.

use std::time::Duration;

use super::{LeaseId, Status};
use crate::domain::Timestamp;
use crate::domain::engine::Engine;
use crate::domain::id::{DaemonId, JobId, OrganizationId};
use crate::domain::tags::Tags;

/// Waiting jobs that the same daemons can take.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Group {
    /// Whose.
    pub organization: OrganizationId,
    /// What runs them.
    pub engine: Engine,
    /// What they ask for.
    pub tags: Tags,
}

/// Whether somebody has room for a group's jobs.
pub type Fits<'a> = &'a (dyn Fn(&Group) -> bool + Send + Sync);

/// Room for one job at one daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The daemon.
    pub worker: DaemonId,
    /// Its name, which the job remembers.
    pub worker_name: String,
}

/// A job under a lease.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Hold {
    /// The job.
    pub job: JobId,
    /// The lease.
    pub lease: LeaseId,
}

/// A job that was given to a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// The job and its lease.
    pub hold: Hold,
    /// The slot's daemon.
    pub worker: DaemonId,
    /// From 1; grows with each lease.
    pub attempt: i32,
}

/// Whether changing things is permitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// It is, and that is durable.
    Go,
    /// The job should stop.
    Canceled,
    /// The asker hasn't the job any more.
    Lost,
}

/// What became of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finished {
    /// It is durable now.
    Stored,
    /// It was already.
    Already,
    /// The sender hasn't the job any more.
    Lost,
}

/// What became of a wish to stop a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CancelOutcome {
    /// It was waiting and has ended.
    Ended,
    /// Its daemon has to be told.
    Canceling(Hold),
}

/// What became of a job that nothing was heard of for too long: from its daemon, or from anybody who would take it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reaped {
    /// The job.
    pub job: JobId,
    /// What it is now.
    pub status: Status,
    /// It was a daemon's.
    pub lapsed: bool,
}

/// What a held job is to its daemon now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grip {
    /// It goes on.
    Running,
    /// It is wanted to stop.
    Canceling,
    /// Its result was stored; only the confirmation got lost.
    Ended,
    /// It was given up, but what the daemon still has of it is taken: lines and a state.
    Salvage,
}

impl Grip {
    /// By the job's status, and whether its lease was lost after the permit.
    #[must_use]
    pub fn of(status: Status, lost: bool) -> Self {
        match status {
            _ if lost => Self::Salvage,
            Status::Canceling => Self::Canceling,
            Status::Pending | Status::Running => Self::Running,
            Status::Succeeded | Status::Failed | Status::Canceled => Self::Ended,
        }
    }
}

/// A held job that its daemon isn't done with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resumed {
    /// The job and its lease.
    pub hold: Hold,
    /// The number that its next line has.
    pub next_log_number: i64,
    /// How it stands.
    pub grip: Grip,
}

/// A job that its daemon still has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// The job and its lease.
    pub hold: Hold,
    /// It is wanted to stop.
    pub canceling: bool,
}

/// How long leases last, and how often jobs are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// A lease, before the permit.
    pub lease: Duration,
    /// After it.
    pub apply_lease: Duration,
    /// Losses until a job isn't tried again.
    pub max_attempts: i32,
    /// Bytes of output that are stored of a job's log.
    pub log_limit: i64,
    /// Silence after which a daemon counts as out of contact.
    pub contact_lost_after: Duration,
    /// How long a job may wait for a daemon; for ever where it isn't said.
    pub pending_timeout: Option<Duration>,
}

impl Terms {
    /// Since when nothing was heard of a lease's holder, if that is too long ago: a lease's end tells when it was renewed.
    #[must_use]
    pub fn silent_since(self, permitted: bool, expires_at: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let heard_at = expires_at.minus(if permitted { self.apply_lease } else { self.lease });
        (now.since(heard_at) > self.contact_lost_after).then_some(heard_at)
    }
}

/// The text of a job that was begun and given back.
#[must_use]
pub fn given_back_text(worker: &str) -> String {
    format!("The provisioner daemon {worker:?} gave the job back before it changed anything. The job is queued again.")
}

/// The text of a job that is queued again.
#[must_use]
pub fn requeued_text(worker: &str, losses: i32, max_attempts: i32) -> String {
    format!(
        "The provisioner daemon {worker:?} was lost before it changed anything. The job is queued again \
         (lost {losses} of at most {max_attempts} times)."
    )
}

/// The error of a job that is lost for good.
#[must_use]
pub fn lost_text(worker: &str, permitted: bool) -> String {
    if permitted {
        format!(
            "The provisioner daemon {worker:?} was lost while it was changing resources. What it changed since its last \
             checkpoint isn't known; the job isn't run again by itself."
        )
    } else {
        format!("The provisioner daemon {worker:?} was lost, as were those before it. The job isn't tried again.")
    }
}

/// The line of a job that was to stop when its daemon was lost.
#[must_use]
pub fn stopped_text(worker: &str) -> String {
    format!(
        "The provisioner daemon {worker:?} was lost before it changed anything. The job was to stop, and so it has."
    )
}

/// The error of a job that nobody took.
#[must_use]
pub fn untaken_text(waited: Duration) -> String {
    format!("No provisioner daemon took the job within {} s: none that may was free.", waited.as_secs_f64())
}

/// The error of a job that `by` took from its daemon.
#[must_use]
pub fn released_text(worker: &str, permitted: bool, silent_since: Timestamp, by: &str) -> String {
    let rest = if permitted {
        "What it changed since its last checkpoint isn't known; the job isn't run again by itself."
    } else {
        "It was not permitted to change anything."
    };
    format!(
        "{by} released the job: the provisioner daemon {worker:?} hasn't been heard of since {silent_since}. {rest}"
    )
}

//! The terms in which jobs are handed out and taken back.

use std::time::Duration;

use super::{LeaseId, Status};
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

/// What became of a job whose lease lapsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reaped {
    /// The job.
    pub job: JobId,
    /// What it is now.
    pub status: Status,
}

/// A held job that goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resumed {
    /// The job and its lease.
    pub hold: Hold,
    /// The number that its next line has.
    pub next_log_number: i64,
    /// It is wanted to stop.
    pub canceling: bool,
    /// Its result was stored; only the confirmation got lost.
    pub ended: bool,
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

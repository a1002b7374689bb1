//! The jobs in the daemon's hands, by their leases.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use orgplane_proto::provisioner::v1::daemon_message::Message;
use orgplane_proto::provisioner::v1::{
    Accepted, Assign, HeldJob, Outcome, Registered, RejectReason, Result as JobResult,
};
use uuid::Uuid;

use super::Session;
use super::bytes::Link;
use crate::Vitals;
use crate::engine::advice;
use crate::job::phase::Cause;
use crate::job::record::{LOGS, Record};
use crate::job::spool::{Batch, Spool};
use crate::job::{Job, Stop, rejection, runner};

/// Bytes of log that may be unacknowledged where the server names no number.
pub(super) const DEFAULT_CREDIT: u64 = 256 * 1024;

/// Answers that wait to be sent; a server that sends assignments faster than it reads answers gets fewer of them.
const MAX_UNTAKEN: usize = 64;

/// All jobs that the server has not been told the end of.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    by_lease: BTreeMap<String, Arc<Job>>,
    /// What is said of jobs that weren't begun.
    untaken: VecDeque<Message>,
    /// The lease whose logs were sent last: the others' turn comes first.
    turn: String,
}

impl Jobs {
    /// Goes on with what earlier daemons left in the work directory. Blocks on the disk.
    pub(super) fn adopt(session: &Session) -> Self {
        let mut jobs = Self::default();
        for (dir, assign) in session.work.unfinished() {
            let (lease, directory) = (assign.lease_id.clone(), dir.display().to_string());
            let spool = match Spool::open(&dir.join(LOGS), assign.next_log_number, DEFAULT_CREDIT) {
                Ok(spool) => Arc::new(spool),
                Err(error) => {
                    tracing::error!(job = %assign.job_id, directory, %error, "can't go on with an earlier daemon's job");
                    continue;
                }
            };
            let job = Arc::new(Job::adopt(assign, dir, spool, Arc::clone(&session.wake)));
            tracing::info!(job = %job.assign.job_id, directory, ended = job.has_ended(), "job of an earlier daemon adopted");
            if !job.has_ended() {
                start(session, &job);
            }
            jobs.by_lease.insert(lease, job);
        }
        jobs
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_lease.is_empty()
    }

    /// Slots in use.
    pub(super) fn running(&self) -> u32 {
        u32::try_from(self.by_lease.values().filter(|j| j.is_running()).count()).unwrap_or(u32::MAX)
    }

    pub(super) fn held(&self) -> Vec<HeldJob> {
        self.by_lease.values().filter(|job| !job.is_abandoned()).map(|job| job.held()).collect()
    }

    /// Takes over what the server says about the held jobs.
    pub(super) fn resume(&mut self, registered: &Registered, credit: u64, vitals: &Vitals) {
        self.untaken.clear();
        for (lease, job) in &self.by_lease {
            if let Some(resumed) = registered.resumed.iter().find(|r| r.lease_id == *lease) {
                job.resume(resumed.next_log_number, credit);
                continue;
            }
            let lost = registered.lost.iter().find(|l| l.lease_id == *lease);
            lose(job, lost.map_or("the server doesn't know it any more", |l| l.reason.as_str()), vitals);
            match lost.map_or(0, |l| l.next_log_number) {
                // This session holds no such lease: whatever is said of it would end the stream.
                ..=0 => job.abandon(),
                next => job.resume(next, credit),
            }
        }
    }

    /// Starts a job or gives it back.
    pub(super) fn assign(&mut self, session: &Session, assign: Assign, draining: bool, credit: u64) {
        let mut answer = |detail: &str, messages: &mut dyn Iterator<Item = Message>| {
            session.config.vitals.assigned(false);
            tracing::info!(job = %assign.job_id, detail, "job refused");
            if self.untaken.len() < MAX_UNTAKEN {
                self.untaken.extend(messages);
            }
        };
        let mut refuse = |reason, detail: String| {
            let rejected = rejection(&assign, reason, detail.clone());
            answer(&detail, &mut std::iter::once(Message::Rejected(rejected)));
        };
        if self.by_lease.contains_key(&assign.lease_id) {
            return;
        }
        if draining {
            return refuse(RejectReason::Draining, "the daemon is about to end".to_owned());
        }
        let running = self.by_lease.values().filter(|j| j.is_running()).count();
        if running >= session.config.capacity as usize {
            return refuse(RejectReason::Full, format!("{running} jobs are running"));
        }
        let job = match prepare(session, &assign, credit) {
            Ok(job) => job,
            // Given back, it would come again for ever, before all others.
            Err(error) => return answer(&error, &mut failure(&assign, &error).into_iter()),
        };
        session.config.vitals.assigned(true);
        tracing::info!(job = %assign.job_id, attempt = assign.attempt, engine = assign.engine, "job assigned");
        start(session, &job);
        self.by_lease.insert(assign.lease_id, job);
    }

    pub(super) fn with(&self, lease: &str, f: impl FnOnce(&Job)) {
        match self.by_lease.get(lease) {
            Some(job) => f(job),
            None => tracing::debug!("a message about a job that this daemon doesn't hold"),
        }
    }

    pub(super) fn lose(&self, lease: &str, reason: &str, vitals: &Vitals) {
        self.with(lease, |job| lose(job, reason, vitals));
    }

    /// The result is stored: nothing of the job is needed any more.
    pub(super) fn forget(&mut self, lease: &str) {
        if let Some(job) = self.by_lease.remove(lease) {
            tracing::info!(job = %job.assign.job_id, "job done");
            discard(job);
        }
    }

    /// Drops jobs that were given back, or lost and handed in.
    pub(super) fn forget_done(&mut self) {
        for (_, job) in self.by_lease.extract_if(.., |_, job| job.is_over()) {
            discard(job);
        }
    }

    /// Interrupts everything.
    pub(super) fn stop_all(&self, cause: Cause, reason: &str) {
        for job in self.by_lease.values() {
            job.stop(Stop { cause, reason: reason.to_owned(), grace: None });
        }
    }

    pub(super) fn revoke(&self) {
        self.stop_all(Cause::KeyRevoked, "the daemon's provisioner key was revoked");
    }

    pub(super) fn have_ended(&self) -> bool {
        self.by_lease.values().all(|job| job.has_ended())
    }

    /// The daemon ends without them.
    pub(super) fn leave(&self) {
        for job in self.by_lease.values().filter(|job| !job.has_ended()) {
            let directory = job.dir.display();
            tracing::error!(job = %job.assign.job_id, %directory, "a job didn't end in time; what it left stays here");
        }
    }

    pub(super) fn next_message(&mut self) -> Option<Message> {
        if let Some(message) = self.untaken.pop_front() {
            return Some(message);
        }
        self.by_lease.values().find_map(|job| job.next_message())
    }

    /// The next log lines, each job in its turn.
    pub(super) fn next_logs(&mut self) -> Option<(Arc<Job>, Batch)> {
        let after = self.by_lease.range(self.turn.clone()..).filter(|(lease, _)| **lease != self.turn);
        let order = after.chain(self.by_lease.range(..=self.turn.clone()));
        let found = order.filter(|(_, job)| job.sends_logs()).find_map(|(l, job)| Some((l, job, job.spool.take()?)));
        let (lease, job, batch) = found?;
        let (lease, job) = (lease.clone(), Arc::clone(job));
        self.turn = lease;
        Some((job, batch))
    }
}

fn start(session: &Session, job: &Arc<Job>) {
    let link = Link::new(session.way.subscribe());
    tokio::spawn(runner::run(Arc::clone(&session.host), Arc::clone(job), link, session.terms.subscribe()));
}

fn lose(job: &Job, reason: &str, vitals: &Vitals) {
    if job.is_lost() {
        return;
    }
    vitals.lost();
    tracing::warn!(job = %job.assign.job_id, reason, "job lost");
    job.stop(Stop { cause: Cause::LeaseLost, reason: reason.to_owned(), grace: None });
}

fn prepare(session: &Session, assign: &Assign, credit: u64) -> Result<Arc<Job>, String> {
    let id: Uuid = assign.job_id.parse().map_err(|_| "the job's id is no UUID".to_owned())?;
    let prepared = || -> std::io::Result<Arc<Job>> {
        let dir = session.work.create_job(id, assign.attempt)?;
        Record(&dir).assigned(assign)?;
        let spool = Arc::new(Spool::create(&dir.join(LOGS), assign.next_log_number, credit)?);
        Ok(Arc::new(Job::new(assign.clone(), dir, spool, Arc::clone(&session.wake))))
    };
    prepared().map_err(|e| advice::added(format!("the provisioner daemon can't make the job's directory: {e}")))
}

/// The end of a job that couldn't be begun.
fn failure(assign: &Assign, error: &str) -> [Message; 2] {
    let (job_id, lease_id) = (assign.job_id.clone(), assign.lease_id.clone());
    let accepted = Accepted { job_id: job_id.clone(), lease_id: lease_id.clone() };
    let result = JobResult {
        job_id,
        lease_id,
        outcome: Outcome::Failed.into(),
        error: error.to_owned(),
        last_log_number: assign.next_log_number.max(1) - 1,
        ..JobResult::default()
    };
    [Message::Accepted(accepted), Message::Result(result)]
}

/// Removes the job's directory, which may be large.
fn discard(job: Arc<Job>) {
    if job.holds_state() {
        let directory = job.dir.display();
        tracing::warn!(job = %job.assign.job_id, %directory, "the server didn't take the job's last state; it is kept");
        job.record().over();
        return;
    }
    tokio::task::spawn_blocking(move || {
        if let Err(error) = std::fs::remove_dir_all(&job.dir) {
            tracing::warn!(directory = %job.dir.display(), %error, "can't remove a job's directory");
        }
    });
}

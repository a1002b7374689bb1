//! A queue in memory: the state machine with nothing around it. The dispatcher's rules are tested over it, without a
//! database and in simulated time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::queue::JobQueue;
use crate::domain::engine::Engine;
use crate::domain::error::{Kind, ProtocolFault};
use crate::domain::id::{DaemonId, JobId, OrganizationId, UserId};
use crate::domain::job::{
    CancelOutcome, Claimed, Discovery, Effect, Event, Finished, Fits, Grip, Group, Hold, InvalidTransition, JobType,
    Lease, LeaseId, Live, LogBatch, Permit, Reaped, Rejection, Report, Resumed, Rules, Slot, State, StateReference,
    Status, Succession, Terms,
};
use crate::domain::tags::Tags;
use crate::domain::time::micros;
use crate::domain::{Error, Result, Timestamp};

/// A waiting job to be.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// Whose daemons do it.
    pub organization: OrganizationId,
    /// Who asked for it.
    pub initiator: UserId,
    /// What kind of work it is.
    pub job_type: JobType,
    /// What runs it.
    pub engine: Engine,
    /// Which daemons may.
    pub tags: Tags,
    /// Nobody waits for it.
    pub automatic: bool,
}

#[derive(Debug)]
struct Entry {
    what: Waiting,
    number: usize,
    state: State,
    /// By the queue's clock: when the lease ends; while it waits, since when.
    expires: Duration,
    /// Lines of the server's own that a lost job's daemon doesn't count.
    shift: i64,
    worker: Option<DaemonId>,
    next_line: i64,
    /// What is stored of its output, with `None` for a line of the server's own.
    lines: Vec<Option<String>>,
    saved: Option<StateReference>,
}

/// What leases are measured by.
type Clock = Box<dyn Fn() -> Duration + Send + Sync>;

/// The queue.
pub struct MemoryQueue {
    jobs: Mutex<BTreeMap<JobId, Entry>>,
    blobs: Mutex<BTreeSet<String>>,
    refuses_reports: AtomicBool,
    terms: Terms,
    clock: Clock,
}

impl std::fmt::Debug for MemoryQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryQueue").field("terms", &self.terms).finish_non_exhaustive()
    }
}

impl MemoryQueue {
    /// An empty one.
    #[must_use]
    pub fn new(terms: Terms) -> Self {
        let start = Instant::now();
        Self::with_clock(terms, Box::new(move || start.elapsed()))
    }

    /// One with a clock of its own, as a database has: those of its users may differ.
    #[must_use]
    pub fn with_clock(terms: Terms, clock: Clock) -> Self {
        let (jobs, blobs, refuses_reports) = (Mutex::default(), Mutex::default(), AtomicBool::new(false));
        Self { jobs, blobs, refuses_reports, terms, clock }
    }

    /// Adds a job.
    pub fn add(&self, what: Waiting) -> JobId {
        let id = JobId::new();
        self.add_as(id, what);
        id
    }

    /// Adds a job under an id.
    pub fn add_as(&self, id: JobId, what: Waiting) {
        let mut jobs = self.lock();
        let (number, expires) = (jobs.len(), (self.clock)());
        let (worker, next_line, shift, lines, saved) = (None, 1, 0, vec![], None);
        let entry = Entry { what, number, state: State::NEW, expires, worker, next_line, shift, lines, saved };
        jobs.insert(id, entry);
    }

    /// What is stored of a job's output, in order; `None` stands for a line of the server's own.
    #[must_use]
    pub fn lines(&self, id: JobId) -> Vec<Option<String>> {
        self.lock().get(&id).map(|entry| entry.lines.clone()).unwrap_or_default()
    }

    /// How a job stands.
    #[must_use]
    pub fn state(&self, id: JobId) -> Option<State> {
        self.lock().get(&id).map(|entry| entry.state.clone())
    }

    /// Adds bytes, by their SHA-256.
    pub fn add_blob(&self, sha256: &str) {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner).insert(sha256.to_owned());
    }

    /// From now on results can't be stored, or can again.
    pub fn refuse_reports(&self, refuse: bool) {
        self.refuses_reports.store(refuse, Ordering::Relaxed);
    }

    /// What a job is doing, and the last daemon that got it.
    #[must_use]
    pub fn status(&self, id: JobId) -> Option<(Status, Option<DaemonId>)> {
        self.lock().get(&id).map(|entry| (entry.state.status, entry.worker))
    }

    /// Nothing can be half done here: no method stops in the middle.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<JobId, Entry>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rules(&self) -> Rules {
        Rules { now: Timestamp(0), max_attempts: self.terms.max_attempts }
    }
}

/// How many jobs of each initiator run in an organization.
type Busy = BTreeMap<(OrganizationId, UserId), usize>;

fn busy(jobs: &BTreeMap<JobId, Entry>) -> Busy {
    jobs.values().filter(|entry| entry.state.status.is_leased()).fold(Busy::new(), |mut busy, entry| {
        *busy.entry((entry.what.organization, entry.what.initiator)).or_insert(0) += 1;
        busy
    })
}

impl Entry {
    fn holds(&self, hold: &Hold) -> bool {
        self.state.status.is_leased() && self.under(&hold.lease)
    }

    fn under(&self, lease: &LeaseId) -> bool {
        self.state.lease.as_ref().is_some_and(|own| own.id == *lease)
    }

    /// It is its holder's, or was until it was lost after the permit.
    fn takes_from(&self, hold: &Hold) -> bool {
        self.holds(hold) || self.is_lost(hold)
    }

    fn is_lost(&self, hold: &Hold) -> bool {
        self.state.lost.as_ref() == Some(&hold.lease)
    }

    fn prolong(&mut self, terms: Terms, now: Duration) {
        let permitted = self.state.lease.as_ref().is_some_and(|lease| lease.permitted_at.is_some());
        self.expires = now + if permitted { terms.apply_lease } else { terms.lease };
    }

    /// Whether its daemon said something under its lease.
    fn said_something(&self) -> bool {
        self.lines.last().is_some_and(Option::is_some)
    }

    /// What becomes of it without its daemon, and a line about that; whether anything does.
    fn give_up(&mut self, event: &Event, rules: Rules, now: Duration) -> bool {
        let Ok((state, _)) = self.state.after(event, rules) else { return false };
        self.leave(state, now);
        self.note();
        true
    }

    /// Adds a line of the server's own.
    fn note(&mut self) {
        self.next_line += 1;
        self.shift += i64::from(self.state.lost.is_some());
        self.lines.push(None);
    }

    /// It isn't its daemon's any more.
    fn leave(&mut self, state: State, now: Duration) {
        self.state = state;
        self.expires = now;
    }

    /// What waiting jobs are ordered by.
    fn rank(&self, busy: &Busy) -> (bool, usize, usize) {
        let running = busy.get(&(self.what.organization, self.what.initiator)).copied().unwrap_or(0);
        (self.what.automatic, running, self.number)
    }

    fn group(&self) -> Group {
        let Waiting { organization, engine, tags, .. } = &self.what;
        Group { organization: *organization, engine: *engine, tags: tags.clone() }
    }
}

#[async_trait]
impl JobQueue for MemoryQueue {
    async fn groups(&self, organizations: &[OrganizationId], fits: Fits<'_>) -> Result<Vec<Group>> {
        let jobs = self.lock();
        let busy = busy(&jobs);
        let mut waiting: Vec<_> = jobs
            .values()
            .filter(|e| e.state.status == Status::Pending && organizations.contains(&e.what.organization))
            .collect();
        waiting.sort_by_key(|entry| entry.rank(&busy));
        let mut groups = Vec::new();
        for entry in waiting {
            if !groups.contains(&entry.group()) && fits(&entry.group()) {
                groups.push(entry.group());
            }
        }
        Ok(groups)
    }

    async fn claim(&self, group: &Group, slots: &[Slot]) -> Result<Vec<Claimed>> {
        let mut jobs = self.lock();
        let busy = busy(&jobs);
        let mut next: Vec<_> =
            jobs.iter_mut().filter(|(_, e)| e.state.status == Status::Pending && e.group() == *group).collect();
        next.sort_by_key(|(_, entry)| entry.rank(&busy));
        let mut claimed = Vec::new();
        for ((id, entry), slot) in next.into_iter().zip(slots) {
            let hold = Hold { job: *id, lease: LeaseId::new() };
            let Ok((state, _)) = entry.state.after(&Event::Claimed(hold.lease.clone()), self.rules()) else { continue };
            entry.state = state;
            entry.worker = Some(slot.worker);
            entry.prolong(self.terms, (self.clock)());
            claimed.push(Claimed { hold, worker: slot.worker, attempt: entry.state.attempt });
        }
        Ok(claimed)
    }

    async fn renew(&self, holds: &[Hold]) -> Result<Vec<Live>> {
        for hold in holds {
            if let Some(entry) = self.lock().get_mut(&hold.job).filter(|entry| entry.holds(hold)) {
                entry.prolong(self.terms, (self.clock)());
            }
        }
        self.live(holds).await
    }

    async fn live(&self, holds: &[Hold]) -> Result<Vec<Live>> {
        let jobs = self.lock();
        let held = holds.iter().filter_map(|hold| Some((hold, jobs.get(&hold.job).filter(|entry| entry.holds(hold))?)));
        Ok(held
            .map(|(hold, entry)| Live { hold: hold.clone(), canceling: entry.state.status == Status::Canceling })
            .collect())
    }

    async fn resume(&self, organization: OrganizationId, holds: &[Hold]) -> Result<Vec<Resumed>> {
        let of_organization =
            |hold: &&Hold| self.lock().get(&hold.job).is_some_and(|entry| entry.what.organization == organization);
        let own: Vec<_> = holds.iter().filter(of_organization).cloned().collect();
        self.renew(&own).await?;
        let jobs = self.lock();
        let known = holds.iter().filter_map(|hold| Some((hold, jobs.get(&hold.job)?)));
        let known = known.filter(|(_, entry)| entry.what.organization == organization);
        let own = known.filter(|(hold, entry)| entry.under(&hold.lease) || entry.is_lost(hold));
        Ok(own
            .map(|(hold, entry)| Resumed {
                hold: hold.clone(),
                next_log_number: entry.next_line - entry.shift,
                grip: Grip::of(entry.state.status, entry.is_lost(hold)),
            })
            .collect())
    }

    async fn append(&self, hold: &Hold, batch: LogBatch) -> Result<i64> {
        let mut jobs = self.lock();
        let entry = jobs.get_mut(&hold.job).ok_or(Error::LeaseLost(hold.job))?;
        let batch = batch.from(entry.next_line - entry.shift).map_err(|gap| {
            Error::Protocol(ProtocolFault::LogGap { job: hold.job, expected: gap.expected, got: gap.got })
        })?;
        if !entry.takes_from(hold) {
            return Err(Error::LeaseLost(hold.job));
        }
        let stored = batch.end() - 1;
        entry.next_line = batch.end() + entry.shift;
        entry.lines.extend(batch.lines.into_iter().map(|line| Some(line.output)));
        Ok(stored)
    }

    async fn discovered(&self, hold: &Hold, _: &Discovery) -> Result<()> {
        let held = self.lock().get(&hold.job).is_some_and(|entry| entry.holds(hold));
        if held { Ok(()) } else { Err(Error::LeaseLost(hold.job)) }
    }

    async fn permit(&self, hold: &Hold, _: i32) -> Result<Permit> {
        let mut jobs = self.lock();
        let Some(entry) = jobs.get_mut(&hold.job) else { return Ok(Permit::Lost) };
        match entry.state.after(&Event::Permitted(hold.lease.clone()), self.rules()) {
            Ok(_) if entry.what.job_type != JobType::Build => Ok(Permit::Lost),
            Ok((state, _)) => {
                entry.state = state;
                entry.prolong(self.terms, (self.clock)());
                Ok(Permit::Go)
            }
            Err(InvalidTransition::Canceling) => Ok(Permit::Canceled),
            Err(
                InvalidTransition::LeaseLost
                | InvalidTransition::Ended
                | InvalidTransition::NotPending
                | InvalidTransition::Permitted,
            ) => Ok(Permit::Lost),
        }
    }

    async fn checkpoint(&self, hold: &Hold, state: &StateReference) -> Result<i64> {
        let mut jobs = self.lock();
        let entry = jobs.get_mut(&hold.job).filter(|e| e.takes_from(hold)).ok_or(Error::LeaseLost(hold.job))?;
        match state.succeeds(entry.saved.as_ref()) {
            Succession::Newer => {}
            Succession::Same => return Ok(state.serial),
            Succession::Older | Succession::Foreign => {
                return Err(Error::Protocol(ProtocolFault::StaleState(hold.job)));
            }
        }
        if !self.blobs.lock().unwrap_or_else(PoisonError::into_inner).contains(&state.sha256) {
            return Err(Error::Protocol(ProtocolFault::MissingBytes(hold.job)));
        }
        entry.saved = Some(state.clone());
        if entry.is_lost(hold) {
            entry.note();
        }
        Ok(state.serial)
    }

    async fn give_back(&self, hold: &Hold, reason: Rejection) -> Result<bool> {
        let mut jobs = self.lock();
        let Some(entry) = jobs.get_mut(&hold.job) else { return Ok(false) };
        let Ok((state, _)) = entry.state.after(&Event::GaveBack(hold.lease.clone(), reason), self.rules()) else {
            return Ok(false);
        };
        entry.leave(state, (self.clock)());
        if entry.state.status == Status::Pending && entry.said_something() {
            entry.note();
        }
        Ok(true)
    }

    async fn missed(&self, hold: &Hold) -> Result<()> {
        let said = self.lock().get(&hold.job).is_some_and(Entry::said_something);
        if !said {
            return self.give_back(hold, Rejection::Draining).await.map(|_| ());
        }
        let (mut jobs, rules) = (self.lock(), self.rules());
        let unpermitted = |lease: &Lease| lease.id == hold.lease && lease.permitted_at.is_none();
        let held = |entry: &&mut Entry| entry.holds(hold) && entry.state.lease.as_ref().is_some_and(unpermitted);
        if let Some(entry) = jobs.get_mut(&hold.job).filter(held) {
            entry.give_up(&Event::LeaseLapsed, rules, (self.clock)());
        }
        Ok(())
    }

    async fn finish(&self, organization: OrganizationId, hold: &Hold, report: &Report) -> Result<Finished> {
        if self.refuses_reports.load(Ordering::Relaxed) {
            return Err(Error::Unavailable("results can't be stored".into()));
        }
        let mut jobs = self.lock();
        let own = |entry: &&mut Entry| entry.what.organization == organization;
        let Some(entry) = jobs.get_mut(&hold.job).filter(own) else { return Ok(Finished::Lost) };
        let event = Event::ResultReported(hold.lease.clone(), report.outcome);
        let Ok((state, effect)) = entry.state.after(&event, self.rules()) else { return Ok(Finished::Lost) };
        if effect == Some(Effect::ConfirmAgain) {
            return Ok(Finished::Already);
        }
        let stored = entry.next_line - 1;
        if stored < report.last_log_number {
            let named = report.last_log_number;
            return Err(Error::Protocol(ProtocolFault::ResultBeforeLogs { job: hold.job, named, stored }));
        }
        entry.state = state;
        Ok(Finished::Stored)
    }

    async fn fail(&self, hold: &Hold, reason: &str) -> Result<Finished> {
        let report = Report::failed(reason);
        let organization = self.lock().get(&hold.job).map(|entry| entry.what.organization);
        let Some(organization) = organization else { return Ok(Finished::Lost) };
        let finished = self.finish(organization, hold, &report).await?;
        if let (Finished::Stored, Some(entry)) = (finished, self.lock().get_mut(&hold.job)) {
            entry.note();
        }
        Ok(finished)
    }

    async fn request_cancel(&self, job: JobId, expected: Option<Status>) -> Result<CancelOutcome> {
        let mut jobs = self.lock();
        let entry = jobs.get_mut(&job).ok_or(Error::NotFound(Kind::Job))?;
        let actual = entry.state.status;
        let (state, _) = entry.state.after(&Event::CancelRequested, self.rules()).map_err(Error::from)?;
        if let Some(expected) = expected.filter(|expected| *expected != actual) {
            return Err(Error::StatusMismatch { expected: expected.text(), actual: actual.text() });
        }
        entry.state = state;
        Ok(match &entry.state.lease {
            Some(lease) => CancelOutcome::Canceling(Hold { job, lease: lease.id.clone() }),
            None => CancelOutcome::Ended,
        })
    }

    async fn release(&self, job: JobId, _: &str) -> Result<()> {
        let (mut jobs, now) = (self.lock(), (self.clock)());
        let entry = jobs.get_mut(&job).ok_or(Error::NotFound(Kind::Job))?;
        if entry.state.status == Status::Pending {
            return Err(Error::NotReleasable("no provisioner daemon has it"));
        }
        let (state, _) = entry.state.after(&Event::Released, self.rules())?;
        let time = |time: Duration| Timestamp(micros(time));
        if self.terms.silent_since(state.lost.is_some(), time(entry.expires), time(now)).is_none() {
            return Err(Error::NotReleasable("its provisioner daemon is in contact"));
        }
        entry.leave(state, now);
        entry.note();
        Ok(())
    }

    async fn reap(&self) -> Result<Vec<Reaped>> {
        let (mut jobs, now) = (self.lock(), (self.clock)());
        let mut reaped = Vec::new();
        for (id, entry) in jobs.iter_mut() {
            let lapsed = entry.state.status.is_leased();
            let waits_too_long = |timeout| entry.state.status == Status::Pending && now > entry.expires + timeout;
            let event = if lapsed && entry.expires < now {
                Event::LeaseLapsed
            } else if self.terms.pending_timeout.is_some_and(waits_too_long) {
                Event::WaitedTooLong
            } else {
                continue;
            };
            if entry.give_up(&event, self.rules(), now) {
                reaped.push(Reaped { job: *id, status: entry.state.status, lapsed });
            }
        }
        Ok(reaped)
    }
}

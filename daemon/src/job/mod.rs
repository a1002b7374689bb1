//! A job in the daemon's hands: what its engine, the session and the clock share.

pub(crate) mod logs;
mod mail;
mod mask;
pub(crate) mod phase;
pub(crate) mod record;
pub(crate) mod runner;
pub(crate) mod spool;
pub(crate) mod terms;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use orgplane_proto::provisioner::v1::daemon_message::Message;
use orgplane_proto::provisioner::v1::{
    Accepted, ApplyRequest, ApplyVerdict, Assign, Cancel, Checkpoint, Discovered, HeldJob, RejectReason, Rejected,
    Result as JobResult, StateReference, Verdict,
};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use self::mail::Mail;
use self::phase::{Cause, Effect, Event, InvalidTransition, Machine, Phase};
use self::record::Record;
use self::spool::Spool;

/// So long the logs and the state of a lost job are offered after its end, or on a stream after that.
const SALVAGE_LIMIT: Duration = Duration::from_secs(60);

/// How an engine is to be stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stop {
    pub(crate) cause: Cause,
    /// For people.
    pub(crate) reason: String,
    /// From the interrupt to the kill; the phase's own where `None`.
    pub(crate) grace: Option<Duration>,
}

#[derive(Debug)]
struct State {
    machine: Machine,
    /// When the permit came.
    permitted_at: Option<Instant>,
    mail: Mail,
    /// Its lease is gone: the stream takes state and logs only.
    salvage: bool,
    /// Since when they can be handed in, on this stream.
    offered_at: Option<Instant>,
    /// The job's task has ended.
    ended_at: Option<Instant>,
    /// No stream will take what is left of it.
    abandoned: bool,
    /// Its directory holds what the server may not have.
    kept: bool,
}

/// A job under a lease.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) assign: Assign,
    pub(crate) dir: PathBuf,
    pub(crate) spool: Arc<Spool>,
    pub(crate) assigned_at: Instant,
    state: Mutex<State>,
    stop: watch::Sender<Option<Stop>>,
    permitted: watch::Sender<()>,
    verdict: watch::Sender<Option<ApplyVerdict>>,
    wake: Arc<Notify>,
}

impl Job {
    pub(crate) fn new(assign: Assign, dir: PathBuf, spool: Arc<Spool>, wake: Arc<Notify>) -> Self {
        let state = State {
            machine: Machine::new(),
            permitted_at: None,
            mail: Mail::new(),
            salvage: false,
            offered_at: None,
            ended_at: None,
            abandoned: false,
            kept: false,
        };
        Self {
            assign,
            dir,
            spool,
            assigned_at: Instant::now(),
            state: Mutex::new(state),
            stop: watch::Sender::new(None),
            permitted: watch::Sender::new(()),
            verdict: watch::Sender::new(None),
            wake,
        }
    }

    /// A job that an earlier daemon had in this directory. One that had ended has ended.
    pub(crate) fn adopt(assign: Assign, dir: PathBuf, spool: Arc<Spool>, wake: Arc<Notify>) -> Self {
        let mut job = Self::new(assign, dir, spool, wake);
        let record = Record(&job.dir);
        let (permitted_at, kept) = (record.permitted_at().map(instant), record.is_kept());
        let (stop, result) = (record.stop(), record.result());
        let asked = record.has_asked();
        job.assigned_at = record.assigned_at().map_or(job.assigned_at, instant);
        let state = job.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        state.machine = Machine::adopted(permitted_at.is_some());
        (state.permitted_at, state.mail.asked, state.kept) = (permitted_at, asked, kept);
        if let Some(stop) = stop {
            job.stop(stop);
        }
        if let Some(result) = result {
            job.finish(result);
            job.end();
        }
        job
    }

    pub(crate) fn record(&self) -> Record<'_> {
        Record(&self.dir)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ids(&self) -> (String, String) {
        (self.assign.job_id.clone(), self.assign.lease_id.clone())
    }

    /// Changes what the server is to hear and wakes the session.
    fn tell(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.wake.notify_one();
    }

    // ---- what the engine and the runner say --------------------------------------------------------------------

    pub(crate) fn machine(&self) -> Machine {
        self.state().machine
    }

    /// When the apply permit came, if it did.
    pub(crate) fn permitted_at(&self) -> Option<Instant> {
        self.state().permitted_at
    }

    /// The work begins.
    pub(crate) fn accept(&self) {
        let (job_id, lease_id) = self.ids();
        self.tell(|s| {
            if s.mail.accepted.content.is_none() {
                s.mail.accepted.put(Accepted { job_id, lease_id });
            }
        });
    }

    pub(crate) fn reject(&self, reason: RejectReason, detail: String) {
        let rejected = rejection(&self.assign, reason, detail);
        self.record().over();
        self.tell(|s| {
            s.mail.apply_request.drop();
            s.mail.rejected.put(rejected);
        });
    }

    pub(crate) fn discovered(&self, mut discovered: Discovered) {
        (discovered.job_id, discovered.lease_id) = self.ids();
        self.tell(|s| s.mail.discovered.put(discovered));
    }

    pub(crate) fn ask_permit(&self, daily_cost: i32) -> Result<(), InvalidTransition> {
        let (job_id, lease_id) = self.ids();
        let effect = self.state().machine.on(Event::Ask)?;
        if effect == Effect::AskServer {
            self.tell(|s| s.mail.apply_request.put(ApplyRequest { job_id, lease_id, daily_cost }));
        }
        Ok(())
    }

    /// Takes the question for the permit back; whether it could, because the server didn't hear of it.
    pub(crate) fn withdraw_request(&self) -> bool {
        let mail = &mut self.state().mail;
        if !mail.asked {
            mail.apply_request.drop();
        }
        !mail.asked
    }

    pub(crate) fn permit(&self) -> Result<(), InvalidTransition> {
        let mut state = self.state();
        state.machine.on(Event::Permit)?;
        state.permitted_at = Some(Instant::now());
        drop(state);
        self.permitted.send_replace(());
        Ok(())
    }

    /// Changes when the permit comes.
    pub(crate) fn permits(&self) -> watch::Receiver<()> {
        self.permitted.subscribe()
    }

    pub(crate) fn checkpoint(&self, reference: StateReference) {
        let (job_id, lease_id) = self.ids();
        self.tell(|s| s.mail.checkpoint.put(Checkpoint { job_id, lease_id, state: Some(reference) }));
    }

    /// The engine has ended and everything is numbered and uploaded.
    pub(crate) fn finish(&self, mut result: JobResult) {
        (result.job_id, result.lease_id) = self.ids();
        result.last_log_number = self.spool.last();
        // A job that was stopped before its work began has an end as well.
        self.accept();
        self.tell(|s| {
            s.mail.apply_request.drop();
            // The runner finishes once; a second time changes nothing.
            if s.machine.on(Event::Finish).is_ok() {
                s.mail.result.put(result);
            }
        });
    }

    /// Its directory is to stay, whatever the server says: it may hold a state that is nowhere else.
    pub(crate) fn keep(&self) {
        self.record().keep();
        self.state().kept = true;
    }

    /// Nothing more is to be sent of it.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.state().abandoned
    }

    /// Its directory stays.
    pub(crate) fn is_kept(&self) -> bool {
        self.state().kept
    }

    /// The job's task is over.
    pub(crate) fn end(&self) {
        self.tell(|s| s.ended_at = Some(Instant::now()));
    }

    // ---- what stops it -----------------------------------------------------------------------------------------

    pub(crate) fn stop(&self, stop: Stop) {
        let mut state = self.state();
        state.salvage |= stop.cause == Cause::LeaseLost;
        let interrupts = matches!(state.machine.on(Event::Stop(stop.cause)), Ok(Effect::Interrupt));
        drop(state);
        if interrupts {
            self.record().stops(&stop);
            self.stop.send_replace(Some(stop));
        }
        self.wake.notify_one();
    }

    pub(crate) fn cancel(&self, cancel: &Cancel) {
        let grace = cancel.grace.and_then(|g| Duration::try_from(g).ok());
        self.stop(Stop { cause: Cause::Canceled, reason: cancel.reason.clone(), grace });
    }

    /// Why the job is to stop, now and later.
    pub(crate) fn stops(&self) -> watch::Receiver<Option<Stop>> {
        self.stop.subscribe()
    }

    pub(crate) fn verdicts(&self) -> watch::Receiver<Option<ApplyVerdict>> {
        self.verdict.subscribe()
    }

    // ---- what the session does ---------------------------------------------------------------------------------

    /// The next message but logs, the most urgent first.
    pub(crate) fn next_message(&self) -> Option<Message> {
        let all_acked = self.spool.all_acked();
        let mut state = self.state();
        if state.abandoned {
            return None;
        }
        if state.salvage { state.mail.salvage() } else { state.mail.next(all_acked) }
    }

    pub(crate) fn held(&self) -> HeldJob {
        let (job_id, lease_id) = self.ids();
        let phase = self.machine().wire().into();
        HeldJob { job_id, lease_id, phase, last_log_number: self.spool.last() }
    }

    /// Its lease is gone, and so is the stream on which what it left was taken: the server takes no more of it.
    pub(crate) fn abandon(&self) {
        self.state().abandoned = true;
    }

    /// A new stream goes on with the job: what isn't answered is said again.
    pub(crate) fn resume(&self, next_log_number: i64, credit: u64) {
        self.spool.rewind(next_log_number, credit);
        let judged = self.verdict.borrow().is_some();
        let mut state = self.state();
        state.mail.again(judged);
        state.offered_at = Some(Instant::now());
    }

    pub(crate) fn acknowledged(&self, log_number: i64, state_serial: i64, credit: u64) {
        self.spool.ack(log_number, credit);
        self.state().mail.stored(state_serial);
    }

    /// The server may have given the permit, whether or not its verdict came: such a job can't be given back.
    pub(crate) fn may_be_permitted(&self) -> bool {
        let refused = self.verdict.borrow().as_ref().is_some_and(|verdict| verdict.verdict() != Verdict::Go);
        self.state().mail.asked && !refused
    }

    pub(crate) fn judge(&self, verdict: ApplyVerdict) {
        self.verdict.send_replace(Some(verdict));
    }

    /// The job still takes one of the daemon's slots.
    pub(crate) fn is_running(&self) -> bool {
        let state = self.state();
        state.machine.phase() != Phase::Finished && !(state.ended_at.is_some() && state.mail.rejected.sent)
    }

    /// Nothing more is to be said: it was given back, or its lease is gone and what it left is handed in, as far as the
    /// server takes it.
    pub(crate) fn is_over(&self) -> bool {
        let logs_stored = self.spool.all_acked();
        let state = self.state();
        let Some(ended_at) = state.ended_at else { return false };
        let nothing_left = !state.machine.permitted() || (state.mail.checkpoint.content.is_none() && logs_stored);
        let since = state.offered_at.map_or(ended_at, |offered_at| offered_at.max(ended_at));
        let salvaged = nothing_left || state.abandoned || since.elapsed() > SALVAGE_LIMIT;
        state.mail.rejected.sent || (state.salvage && salvaged)
    }

    /// Its task has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.state().ended_at.is_some()
    }

    /// Its directory may hold a state that the server doesn't have.
    pub(crate) fn holds_state(&self) -> bool {
        let state = self.state();
        let unsaved = state.mail.checkpoint.content.is_some() || state.abandoned;
        state.kept || (state.salvage && state.machine.permitted() && unsaved)
    }

    /// Its lease is gone.
    pub(crate) fn is_lost(&self) -> bool {
        self.state().salvage
    }

    /// Logs are taken of it: not after a lost lease, unless it may have changed things.
    pub(crate) fn sends_logs(&self) -> bool {
        let state = self.state();
        !state.abandoned && (!state.salvage || state.machine.permitted())
    }
}

/// When that was, on the clock that doesn't jump; now if that was before it began to run.
pub(crate) fn instant(time: SystemTime) -> Instant {
    let now = Instant::now();
    now.checked_sub(time.elapsed().unwrap_or_default()).unwrap_or(now)
}

/// Gives an assignment back.
pub(crate) fn rejection(assign: &Assign, reason: RejectReason, detail: String) -> Rejected {
    Rejected { job_id: assign.job_id.clone(), lease_id: assign.lease_id.clone(), reason: reason.into(), detail }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::record::LOGS;
    use super::*;

    #[test]
    fn an_adopted_jobs_times_are_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let record = Record(dir.path());
        record.assigned(&Assign::default()).unwrap();
        record.permitted(&ApplyVerdict::default()).unwrap();
        for (file, minutes) in [("assign", 30), ("permitted", 20)] {
            let file = File::options().write(true).open(dir.path().join(file)).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(60 * minutes)).unwrap();
        }
        let spool = Arc::new(Spool::create(&dir.path().join(LOGS), 1, 1000).unwrap());
        let job = Job::adopt(Assign::default(), dir.path().to_owned(), spool, Arc::default());
        assert!(job.machine().permitted());
        assert_eq!(job.assigned_at.elapsed().as_secs() / 60, 30);
        let permitted_at = job.permitted_at().unwrap();
        assert_eq!(permitted_at.elapsed().as_secs() / 60, 20, "or its lease would be good for as long again");
    }
}

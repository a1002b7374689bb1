//! The daemons that are connected to this server.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::session::{Command, GoAway, Identity, Outbox, Session};
use crate::domain::error::{Credential, ProtocolFault};
use crate::domain::id::{DaemonId, JobId, OrganizationId, ProvisionerKeySecretId};
use crate::domain::job::{Claimed, Group, Hold, LeaseId, Live, Rejection, Slot};
use crate::domain::{Error, Result};

/// Jobs in one claim.
const BATCH: usize = 64;

/// Names one session of a daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionId {
    /// The daemon.
    pub daemon: DaemonId,
    serial: u64,
}

/// What leases a round of renewals is about.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// Sessions that something was heard of since the last round.
    heard: Vec<SessionId>,
    /// Their leases.
    holds: Vec<Hold>,
}

impl Round {
    pub(super) fn holds(&self) -> &[Hold] {
        &self.holds
    }

    pub(super) fn daemons(&self) -> Vec<DaemonId> {
        self.heard.iter().map(|id| id.daemon).collect()
    }
}

#[derive(Debug, Default)]
struct Inner {
    sessions: HashMap<DaemonId, Session>,
    next_serial: u64,
}

/// The sessions, one for each daemon. Every method is short and waits for nothing.
#[derive(Debug)]
pub(super) struct Registry {
    inner: Mutex<Inner>,
    contact_lost_after: Duration,
}

impl Registry {
    pub(super) fn new(contact_lost_after: Duration) -> Self {
        Self { inner: Mutex::default(), contact_lost_after }
    }

    /// No method stops in the middle, so a panic elsewhere leaves nothing half done.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses a name that another live daemon of the organization has.
    pub(super) fn check_name(&self, organization: OrganizationId, name: &str, instance: &str) -> Result<()> {
        let inner = self.lock();
        let taken = inner.sessions.values().any(|session| {
            let other = &session.identity;
            other.organization == organization
                && other.name.to_lowercase() == name.to_lowercase()
                && other.instance != instance
                && !session.is_over()
                && !session.is_silent(self.contact_lost_after)
        });
        if taken { Err(Error::Protocol(ProtocolFault::NameInUse(name.to_owned()))) } else { Ok(()) }
    }

    /// Adds a session; one of the same daemon before it is superseded.
    pub(super) fn attach(&self, identity: Identity, holds: Vec<Hold>) -> (SessionId, Outbox) {
        let mut inner = self.lock();
        let (daemon, serial) = (identity.daemon, inner.next_serial);
        inner.next_serial += 1;
        let (session, outbox) = Session::new(identity, serial, holds);
        if let Some(old) = inner.sessions.insert(daemon, session) {
            old.close(GoAway::Superseded, Error::Protocol(ProtocolFault::Superseded(daemon)));
        }
        (SessionId { daemon, serial }, outbox)
    }

    pub(super) fn detach(&self, id: SessionId) {
        let mut inner = self.lock();
        if inner.sessions.get(&id.daemon).is_some_and(|session| session.serial == id.serial) {
            inner.sessions.remove(&id.daemon);
        }
    }

    /// Does something with a session, if it is still the daemon's.
    pub(super) fn with<R>(&self, id: SessionId, act: impl FnOnce(&mut Session) -> R) -> Option<R> {
        let mut inner = self.lock();
        inner.sessions.get_mut(&id.daemon).filter(|session| session.serial == id.serial).map(act)
    }

    pub(super) fn lease_of(&self, id: SessionId, job: JobId) -> Option<LeaseId> {
        self.with(id, |session| session.lease_of(job).cloned()).flatten()
    }

    /// The organizations whose daemons have room.
    pub(super) fn organizations_with_room(&self) -> Vec<OrganizationId> {
        let inner = self.lock();
        let with_room = inner.sessions.values().filter(|session| session.free(self.contact_lost_after) > 0);
        with_room.map(|session| session.identity.organization).collect::<HashSet<_>>().into_iter().collect()
    }

    /// Whether any daemon has room for a group's jobs.
    pub(super) fn has_room_for(&self, group: &Group) -> bool {
        self.lock().sessions.values().any(|session| session.fits(group) && session.free(self.contact_lost_after) > 0)
    }

    /// Room for a group's jobs: first at the daemons with the fewest tags that the jobs don't ask for, and among those
    /// first at the least busy.
    pub(super) fn slots(&self, group: &Group) -> Vec<Slot> {
        let inner = self.lock();
        let mut slots = Vec::new();
        for session in inner.sessions.values().filter(|session| session.fits(group)) {
            let extra = session.identity.tags.extra(&group.tags);
            for nth in 0..session.free(self.contact_lost_after) {
                slots.push((extra, session.busy() + nth, &session.identity));
            }
        }
        slots.sort_by_key(|(extra, load, identity)| (*extra, *load, identity.daemon));
        slots.truncate(BATCH);
        let slot = |identity: &Identity| Slot { worker: identity.daemon, worker_name: identity.name.clone() };
        slots.into_iter().map(|(_, _, identity)| slot(identity)).collect()
    }

    /// Notes that a daemon got a job; false when it left in the meantime, or came back and is asked what it has.
    pub(super) fn give(&self, claimed: &Claimed) -> bool {
        let mut inner = self.lock();
        match inner.sessions.get_mut(&claimed.worker).filter(|session| session.is_open()) {
            Some(session) => {
                session.give(claimed);
                true
            }
            None => false,
        }
    }

    /// Tells a daemon something about a job that it has; false when it left.
    pub(super) fn tell(&self, daemon: DaemonId, command: Command) -> bool {
        let inner = self.lock();
        let session = inner.sessions.get(&daemon).filter(|session| !session.is_over());
        session.is_some_and(|session| {
            session.push(command);
            !session.is_over()
        })
    }

    /// The daemon hasn't the job any more, and knows.
    pub(super) fn forget(&self, daemon: DaemonId, hold: &Hold) {
        if let Some(session) = self.lock().sessions.get_mut(&daemon) {
            session.forget(hold);
        }
    }

    pub(super) fn cancel(&self, hold: &Hold) -> bool {
        let inner = self.lock();
        let holder = inner.sessions.values().find(|session| session.lease_of(hold.job) == Some(&hold.lease));
        holder.is_some_and(|session| {
            session.push(Command::Cancel(hold.clone()));
            true
        })
    }

    /// The lease of a job that a daemon has here, or all of them.
    pub(super) fn holds(&self, job: Option<JobId>) -> Vec<Hold> {
        let inner = self.lock();
        let holds = inner.sessions.values().flat_map(Session::live);
        holds.filter(|hold| job.is_none_or(|job| hold.job == job)).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.lock().sessions.len()
    }

    pub(super) fn secrets(&self) -> Vec<ProvisionerKeySecretId> {
        let secrets: HashSet<_> = self.lock().sessions.values().map(|session| session.identity.secret).collect();
        secrets.into_iter().collect()
    }

    /// Ends sessions whose keys are good no more.
    pub(super) fn end_where(&self, matches: impl Fn(&Identity) -> bool) {
        let inner = self.lock();
        for session in inner.sessions.values().filter(|session| matches(&session.identity)) {
            session.close(GoAway::KeyRevoked, Error::Unauthenticated(Credential::KeyRevoked));
        }
    }

    pub(super) fn drain(&self) {
        for session in self.lock().sessions.values_mut() {
            session.draining = true;
            session.close(GoAway::Draining, Error::Stopping);
        }
    }

    pub(super) fn reject(&self, id: SessionId, hold: &Hold, reason: Rejection, pause: Duration) {
        self.with(id, |session| {
            session.forget(hold);
            session.back_off(reason, pause);
        });
    }

    /// The leases of all sessions that were heard of since the last round.
    pub(super) fn round(&self) -> Round {
        let mut round = Round::default();
        for (daemon, session) in &mut self.lock().sessions {
            if session.is_open() && session.take_heard() {
                round.heard.push(SessionId { daemon: *daemon, serial: session.serial });
                round.holds.extend(session.live());
            }
        }
        round
    }

    /// Tells the sessions of a round which of their leases live. Who should stop is told so each time: the daemon may
    /// not have had the job when that was said first, or it was said on another server.
    pub(super) fn renewed(&self, round: &Round, live: &[Live]) {
        let canceling: Vec<_> = live.iter().filter(|live| live.canceling).map(|live| &live.hold).collect();
        let live: HashSet<_> = live.iter().map(|live| &live.hold).collect();
        let lost: Vec<_> = round.holds.iter().filter(|hold| !live.contains(hold)).collect();
        for id in &round.heard {
            self.with(*id, |session| {
                for hold in &lost {
                    if session.lose(hold) {
                        session.push(Command::LeaseLost((*hold).clone()));
                    }
                }
                for hold in canceling.iter().filter(|hold| session.has(hold)) {
                    session.remind(Command::Cancel((*hold).clone()));
                }
                session.push(Command::HeartbeatAck);
            });
        }
    }
}

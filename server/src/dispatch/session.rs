//! A connected daemon: what it takes, what it has, and the way to it.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::assignment::Assignment;
use crate::domain::Error;
use crate::domain::engine::Engine;
use crate::domain::id::{DaemonId, JobId, OrganizationId, ProvisionerKeyId, ProvisionerKeySecretId};
use crate::domain::job::{Claimed, Group, Hold, LeaseId, Permit, Rejection};
use crate::domain::tags::{Tags, job_matches};

/// Messages that may wait for a daemon. One that lets so many wait doesn't read.
const WAITING: usize = 256;

/// Why a daemon should go elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoAway {
    /// The server ends.
    Draining,
    /// Another session of the same daemon took over.
    Superseded,
    /// Its key is good no more.
    KeyRevoked,
}

/// What a daemon is told.
#[derive(Debug)]
pub enum Command {
    /// Do this.
    Assign(Box<Assignment>),
    /// Lines up to this number and the state with this serial are stored.
    Ack {
        /// The job and its lease.
        hold: Hold,
        /// The last stored line.
        log_number: i64,
        /// The stored state's serial; 0 for none.
        state_serial: i64,
    },
    /// Whether changing things is permitted.
    Verdict(Hold, Permit),
    /// All leases live on.
    HeartbeatAck,
    /// The result is durable.
    ResultStored(Hold),
    /// Stop.
    Cancel(Hold),
    /// The job is somebody else's.
    LeaseLost(Hold),
    /// Go elsewhere.
    GoAway(GoAway),
    /// The session ends with this; nothing follows.
    End(Error),
}

/// What a daemon said of itself, with what the server knows of it.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Its id, over all sessions.
    pub daemon: DaemonId,
    /// Its key's organization.
    pub organization: OrganizationId,
    /// Its key.
    pub key: ProvisionerKeyId,
    /// The secret of it that it showed.
    pub secret: ProvisionerKeySecretId,
    /// Its name.
    pub name: String,
    /// Its work directory.
    pub instance: String,
    /// What it runs.
    pub engines: BTreeSet<Engine>,
    /// Its key's tags.
    pub tags: Tags,
    /// Jobs at a time.
    pub capacity: u32,
}

/// How a daemon stands to a job that it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grip {
    /// It has it.
    Live,
    /// Its result is being stored.
    Ending,
    /// It was taken from it.
    Lost,
}

/// One session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) identity: Identity,
    pub(super) serial: u64,
    /// What its daemon brought along is known; it gets jobs from then on.
    open: bool,
    holds: HashMap<JobId, (LeaseId, Grip)>,
    /// Jobs at a time by its own last word.
    limit: u32,
    /// Its engines work, by its own last word.
    healthy: bool,
    pub(super) draining: bool,
    backed_off_until: Option<Instant>,
    heard_at: Instant,
    /// Something was heard since leases were last renewed.
    heard: bool,
    commands: mpsc::Sender<Command>,
    end: CancellationToken,
}

/// A session's other side, for whoever carries its messages.
#[derive(Debug)]
pub struct Outbox {
    /// What the daemon is told.
    pub commands: mpsc::Receiver<Command>,
    /// The session is over: nothing more is taken from the daemon.
    pub end: CancellationToken,
}

impl Session {
    pub(super) fn new(identity: Identity, serial: u64, holds: Vec<Hold>) -> (Self, Outbox) {
        let (sender, commands) = mpsc::channel(WAITING);
        let end = CancellationToken::new();
        let session = Self {
            limit: identity.capacity,
            healthy: true,
            identity,
            serial,
            open: false,
            holds: holds.into_iter().map(|hold| (hold.job, (hold.lease, Grip::Live))).collect(),
            draining: false,
            backed_off_until: None,
            heard_at: Instant::now(),
            heard: true,
            commands: sender,
            end: end.clone(),
        };
        (session, Outbox { commands, end })
    }

    /// Never waits: a daemon that doesn't read loses its session, and nobody else notices.
    pub(super) fn push(&self, command: Command) {
        if self.commands.try_send(command).is_err() {
            self.end.cancel();
        }
    }

    /// Says again what the daemon may have missed. What finds little room waits for the next time: a reminder isn't
    /// worth a session.
    pub(super) fn remind(&self, command: Command) {
        if self.commands.capacity() > WAITING / 2 {
            self.push(command);
        }
    }

    /// The last words of a session.
    pub(super) fn close(&self, away: GoAway, error: Error) {
        self.push(Command::GoAway(away));
        self.push(Command::End(error));
        self.end.cancel();
    }

    pub(super) fn is_over(&self) -> bool {
        self.end.is_cancelled()
    }

    /// Whether nothing keeps its daemon here any more.
    pub(super) fn has_left(&self) -> bool {
        self.draining && self.busy() == 0 && !self.is_over()
    }

    /// Its daemon has none of these jobs any more, and all others that it brought along.
    pub(super) fn open(&mut self, lost: &[Hold]) {
        for hold in lost {
            self.forget(hold);
        }
        self.open = true;
    }

    /// Whether jobs can be given to it, and leases be kept for it.
    pub(super) fn is_open(&self) -> bool {
        self.open && !self.is_over()
    }

    pub(super) fn hear(&mut self) {
        self.heard_at = Instant::now();
        self.heard = true;
    }

    /// Whether something was heard since this was last asked.
    pub(super) fn take_heard(&mut self) -> bool {
        std::mem::take(&mut self.heard)
    }

    pub(super) fn is_silent(&self, contact_lost_after: Duration) -> bool {
        self.heard_at.elapsed() > contact_lost_after
    }

    pub(super) fn fits(&self, group: &Group) -> bool {
        self.identity.organization == group.organization
            && self.identity.engines.contains(&group.engine)
            && job_matches(&group.tags, &self.identity.tags)
    }

    /// Jobs that it may be given now.
    pub(super) fn free(&self, contact_lost_after: Duration) -> u32 {
        let backed_off = self.backed_off_until.is_some_and(|until| Instant::now() < until);
        if self.draining || !self.healthy || backed_off || !self.is_open() || self.is_silent(contact_lost_after) {
            return 0;
        }
        self.limit.min(self.identity.capacity).saturating_sub(self.busy())
    }

    /// Jobs that it has, and those whose results are on their way.
    pub(super) fn busy(&self) -> u32 {
        let busy = self.holds.values().filter(|(_, grip)| *grip != Grip::Lost).count();
        u32::try_from(busy).unwrap_or(u32::MAX)
    }

    pub(super) fn give(&mut self, claimed: &Claimed) {
        self.holds.insert(claimed.hold.job, (claimed.hold.lease.clone(), Grip::Live));
    }

    /// How many more it would take now, and whether its engines work, by its own word.
    pub(super) fn offer(&mut self, free_slots: u32, healthy: bool) {
        self.limit = free_slots.saturating_add(self.busy());
        self.healthy = healthy;
    }

    pub(super) fn back_off(&mut self, reason: Rejection, pause: Duration) {
        match reason {
            Rejection::Draining => self.draining = true,
            Rejection::Full | Rejection::Infrastructure => self.backed_off_until = Some(Instant::now() + pause),
        }
    }

    /// The leases that have to be kept alive.
    pub(super) fn live(&self) -> impl Iterator<Item = Hold> + '_ {
        let live = self.holds.iter().filter(|(_, (_, grip))| *grip == Grip::Live);
        live.map(|(job, (lease, _))| Hold { job: *job, lease: lease.clone() })
    }

    /// The lease under which it was given a job, lost or not.
    pub(super) fn lease_of(&self, job: JobId) -> Option<&LeaseId> {
        self.holds.get(&job).map(|(lease, _)| lease)
    }

    /// Whether it has the job under this lease, and is to go on.
    pub(super) fn has(&self, hold: &Hold) -> bool {
        self.holds.get(&hold.job).is_some_and(|(lease, grip)| *lease == hold.lease && *grip == Grip::Live)
    }

    /// Takes a job from it; false when it hadn't it anyway.
    pub(super) fn lose(&mut self, hold: &Hold) -> bool {
        match self.holds.get_mut(&hold.job) {
            Some((lease, grip)) if *lease == hold.lease && *grip == Grip::Live => {
                *grip = Grip::Lost;
                true
            }
            _ => false,
        }
    }

    /// From here on the job's end isn't a loss.
    pub(super) fn ending(&mut self, hold: &Hold, ending: bool) {
        if let Some((lease, grip)) = self.holds.get_mut(&hold.job)
            && *lease == hold.lease
            && *grip != Grip::Lost
        {
            *grip = if ending { Grip::Ending } else { Grip::Live };
        }
    }

    pub(super) fn forget(&mut self, hold: &Hold) {
        if self.holds.get(&hold.job).is_some_and(|(lease, _)| *lease == hold.lease) {
            self.holds.remove(&hold.job);
        }
    }
}

//! Hands jobs to daemons: sessions, matching, claiming, pushing. Works over the narrow `JobQueue`, so that its rules can be
//! tested without a database.

pub mod assignment;
pub mod memory;
pub mod news;
pub mod queue;
mod registry;
pub mod session;
pub mod sql;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::domain::error::{ProtocolFault, chain};
use crate::domain::id::{DaemonId, JobId, OrganizationId, ProvisionerKeyId, ProvisionerKeySecretId};
use crate::domain::job::{Claimed, Finished, Group, Hold, Rejection, Report};
use crate::domain::{Error, Result};
use crate::options::Provisioners;
use assignment::Assemble;
use queue::JobQueue;
use registry::Registry;
pub use registry::SessionId;
use session::{Command, Identity, Outbox};

/// Knows the connected daemons and gives them what they can do.
#[derive(Debug)]
pub struct Dispatcher {
    queue: Arc<dyn JobQueue>,
    registry: Registry,
    work: Notify,
    /// Jobs were made here that other servers should know of.
    news: Notify,
    poll_interval: Duration,
    /// How long a daemon that gave a job back gets none.
    back_off: Duration,
}

impl Dispatcher {
    /// Over a queue.
    #[must_use]
    pub fn new(queue: Arc<dyn JobQueue>, options: &Provisioners) -> Self {
        Self {
            queue,
            registry: Registry::new(options.contact_lost_after),
            work: Notify::new(),
            news: Notify::new(),
            poll_interval: options.poll_interval,
            back_off: options.heartbeat,
        }
    }

    /// The jobs.
    #[must_use]
    pub fn queue(&self) -> &dyn JobQueue {
        &*self.queue
    }

    /// Looks for work at once: a job was made elsewhere, or a slot got free.
    pub fn wake(&self) {
        self.work.notify_one();
    }

    /// The same for a job that was made here: other servers are told as well. Call it after the commit.
    pub fn announce(&self) {
        self.wake();
        self.news.notify_one();
    }

    /// Waits until jobs were made here since the last time.
    pub async fn announced(&self) {
        self.news.notified().await;
    }

    /// Hands out jobs until it is stopped. A failing database is tried again at the next wake-up or poll.
    pub async fn run(&self, assembler: &dyn Assemble, stop: CancellationToken) {
        loop {
            // Registered before looking, so that a job that comes while looking isn't overlooked.
            let woken = self.work.notified();
            tokio::pin!(woken);
            woken.as_mut().enable();
            if let Err(error) = self.pass(assembler).await {
                tracing::warn!(error = %chain(&error), "can't hand out jobs now");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = woken => {}
                () = tokio::time::sleep(self.poll_interval) => {}
            }
        }
    }

    /// Gives every job that somebody has room for to them. What fails for one group leaves the others alone.
    pub(crate) async fn pass(&self, assembler: &dyn Assemble) -> Result<()> {
        let organizations = self.registry.organizations_with_room();
        if organizations.is_empty() {
            return Ok(());
        }
        let mut done = Ok(());
        for group in self.queue.groups(&organizations, &|group| self.registry.has_room_for(group)).await? {
            done = done.and(self.fill_up(&group, assembler).await);
        }
        done
    }

    /// Gives the jobs of a group out as far as there is room.
    async fn fill_up(&self, group: &Group, assembler: &dyn Assemble) -> Result<()> {
        while self.fill(group, assembler).await? {}
        Ok(())
    }

    /// One claim for a group; true when there may be more jobs and more room.
    async fn fill(&self, group: &Group, assembler: &dyn Assemble) -> Result<bool> {
        let slots = self.registry.slots(group);
        if slots.is_empty() {
            return Ok(false);
        }
        let claimed = self.queue.claim(group, &slots).await?;
        let more = claimed.len() == slots.len();
        let mut given = Vec::with_capacity(claimed.len());
        let mut done = Ok(());
        for claimed in claimed {
            if self.registry.give(&claimed) {
                given.push(claimed);
            } else {
                done = done.and(self.take_back(&claimed).await);
            }
        }
        done.and(self.push(given, assembler).await).map(|()| more)
    }

    /// Whatever fails for one job, each of the others is told or taken back: a lease that the registry knows of and its
    /// daemon doesn't would be renewed for ever.
    async fn push(&self, given: Vec<Claimed>, assembler: &dyn Assemble) -> Result<()> {
        if given.is_empty() {
            return Ok(());
        }
        let assembled = match assembler.assemble(&given).await {
            Ok(assembled) => assembled,
            Err(error) => {
                for claimed in given {
                    // Either error tells the same.
                    let _ = self.take_back(&claimed).await;
                }
                return Err(error);
            }
        };
        let mut done = Ok(());
        let mut told = Vec::with_capacity(given.len());
        for (claimed, assignment) in given.into_iter().zip(assembled) {
            match assignment {
                Ok(assignment) => {
                    if self.registry.tell(claimed.worker, Command::Assign(Box::new(assignment))) {
                        told.push(claimed.hold);
                    } else {
                        done = done.and(self.take_back(&claimed).await);
                    }
                }
                Err(reason) => match self.queue.fail(&claimed.hold, &reason).await {
                    Ok(_) => self.registry.forget(claimed.worker, &claimed.hold),
                    Err(error) => {
                        tracing::warn!(job = %claimed.hold.job, error = %chain(&error), "can't end a job that can't be assembled");
                        done = done.and(Err(error));
                        // The warning and the first error tell it all.
                        let _ = self.take_back(&claimed).await;
                    }
                },
            }
        }
        done.and(self.repeat_cancels(&told).await)
    }

    /// Who wanted one of these jobs to stop before its daemon had it, or on another server, found nobody to tell.
    async fn repeat_cancels(&self, held: &[Hold]) -> Result<()> {
        if !held.is_empty() {
            for job in self.queue.live(held).await?.iter().filter(|job| job.canceling) {
                self.registry.cancel(&job.hold);
            }
        }
        Ok(())
    }

    /// For a job that its daemon never saw. Should this fail, the lease lapses and the reaper does it.
    async fn take_back(&self, claimed: &Claimed) -> Result<()> {
        self.registry.forget(claimed.worker, &claimed.hold);
        let taken = self.queue.give_back(&claimed.hold, Rejection::Draining).await;
        if let Err(error) = &taken {
            tracing::warn!(job = %claimed.hold.job, error = %chain(error), "can't take an assigned job back; its lease will lapse");
        }
        taken.map(|_| ())
    }

    /// Refuses a name that another connected daemon of the organization has.
    ///
    /// # Errors
    /// [`ProtocolFault::NameInUse`].
    pub fn check_name(&self, organization: OrganizationId, name: &str, instance: &str) -> Result<()> {
        self.registry.check_name(organization, name, instance)
    }

    /// Adds a session with the jobs that its daemon says it has; an earlier one of the same daemon is superseded. From
    /// now on it is told of cancels, but it gets nothing before it is opened.
    pub fn attach(&self, identity: Identity, holds: Vec<Hold>) -> (SessionId, Outbox) {
        self.registry.attach(identity, holds)
    }

    /// Gives a session jobs from now on. Of those that its daemon said it has it hasn't the lost ones.
    pub fn open(&self, id: SessionId, lost: &[Hold]) {
        self.registry.with(id, |session| session.open(lost));
        self.wake();
    }

    /// Removes a session. Its leases go on until they lapse or its daemon comes back.
    pub fn detach(&self, id: SessionId) {
        self.registry.detach(id);
    }

    /// Something was heard of a daemon.
    pub fn heard(&self, id: SessionId) {
        self.registry.with(id, session::Session::hear);
    }

    /// A daemon says how many jobs more it would take, and whether its engines work.
    pub fn offered(&self, id: SessionId, free_slots: u32, healthy: bool) {
        if self.registry.with(id, |session| session.offer(free_slots, healthy)).is_some() && healthy && free_slots > 0 {
            self.wake();
        }
    }

    /// A daemon takes no more jobs.
    pub fn draining(&self, id: SessionId) {
        self.registry.with(id, |session| session.draining = true);
    }

    /// Whether a session's daemon said that it takes no more jobs, and has none: when its stream ends, so has the daemon.
    #[must_use]
    pub fn has_left(&self, id: SessionId) -> bool {
        self.registry.with(id, |session| session.has_left()).unwrap_or_default()
    }

    /// Tells a session something.
    pub fn tell(&self, id: SessionId, command: Command) {
        self.registry.with(id, |session| session.push(command));
    }

    /// Tells a session something that it will be told again.
    pub fn remind(&self, id: SessionId, command: Command) {
        self.registry.with(id, |session| session.remind(command));
    }

    /// A job that a session's daemon brought along has its result stored already: that is no loss. Should there be little
    /// room to say so, the daemon hears it when it hands the result in again.
    pub fn settled(&self, id: SessionId, hold: &Hold) {
        self.registry.with(id, |session| {
            session.lose(hold);
            session.remind(Command::ResultStored(hold.clone()));
        });
    }

    /// A job that a session's daemon brought along was given up; what it left may still come.
    pub fn given_up(&self, id: SessionId, hold: &Hold) {
        self.registry.with(id, |session| session.lose(hold));
    }

    /// The lease under which a daemon sent something about a job, checked: it must have been given the job in this
    /// session, or brought it along.
    ///
    /// # Errors
    /// [`ProtocolFault::ForeignJob`].
    pub fn check_own(&self, id: SessionId, hold: &Hold) -> Result<()> {
        match self.registry.lease_of(id, hold.job) {
            Some(lease) if lease == hold.lease => Ok(()),
            Some(_) => Err(Error::LeaseLost(hold.job)),
            None => Err(Error::Protocol(ProtocolFault::ForeignJob(hold.job))),
        }
    }

    /// A daemon gives a job back.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database can't be reached.
    pub async fn rejected(&self, id: SessionId, hold: &Hold, reason: Rejection) -> Result<()> {
        self.queue.give_back(hold, reason).await?;
        self.registry.reject(id, hold, reason, self.back_off);
        self.wake();
        Ok(())
    }

    /// A daemon of the organization hands in a job's result.
    ///
    /// # Errors
    /// Those of [`JobQueue::finish`].
    pub async fn finished(
        &self,
        id: SessionId,
        organization: OrganizationId,
        hold: &Hold,
        report: &Report,
    ) -> Result<Finished> {
        // A renewal that finds the lease ended in the meantime mustn't take that for a loss.
        self.registry.with(id, |session| session.ending(hold, true));
        match self.queue.finish(organization, hold, report).await {
            // It may be said again before the daemon hears that the job is lost.
            Ok(Finished::Lost) => {
                self.registry.with(id, |session| {
                    session.ending(hold, false);
                    session.lose(hold);
                });
                Ok(Finished::Lost)
            }
            Ok(finished) => {
                self.registry.forget(id.daemon, hold);
                self.wake();
                Ok(finished)
            }
            Err(error) => {
                self.registry.with(id, |session| session.ending(hold, false));
                Err(error)
            }
        }
    }

    /// Tells the daemon that has a job to stop it; false when it isn't connected here. It is told when it comes back.
    pub fn cancel(&self, hold: &Hold) -> bool {
        self.registry.cancel(hold)
    }

    /// Looks whether a job that a daemon has here should stop, for another server may have said so; all of them, where
    /// none is named.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database can't be reached.
    pub async fn look_for_cancels(&self, job: Option<JobId>) -> Result<()> {
        self.repeat_cancels(&self.registry.holds(job)).await
    }

    /// Ends the sessions of a key that is good no more.
    pub fn key_revoked(&self, key: ProvisionerKeyId) {
        self.registry.end_where(|identity| identity.key == key);
    }

    /// How many daemons are connected here.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.registry.len()
    }

    /// The secrets of keys that the connected daemons showed.
    #[must_use]
    pub fn secrets(&self) -> Vec<ProvisionerKeySecretId> {
        self.registry.secrets()
    }

    /// Ends the sessions that showed this secret: it is good no more.
    pub fn secret_ended(&self, secret: ProvisionerKeySecretId) {
        self.registry.end_where(|identity| identity.secret == secret);
    }

    /// Asks all daemons to go elsewhere: this server ends.
    pub fn drain(&self) {
        self.registry.drain();
    }

    /// Renews the leases of all daemons that were heard of since the last time, in one statement, and tells them. The
    /// daemons.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database can't be reached; nobody is told anything then.
    pub async fn renew(&self) -> Result<Vec<DaemonId>> {
        let round = self.registry.round();
        let live = if round.holds().is_empty() { Vec::new() } else { self.queue.renew(round.holds()).await? };
        self.registry.renewed(&round, &live);
        Ok(round.daemons())
    }
}

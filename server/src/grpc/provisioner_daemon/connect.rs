//! A daemon's session on the wire.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, stream};
use orgplane_proto::PROTOCOL_VERSION;
use orgplane_proto::provisioner::v1 as pb;
use orgplane_proto::provisioner::v1::daemon_message::Message;
use tonic::{Status, Streaming};

use super::inbox::Inbox;
use crate::dispatch::SessionId;
use crate::dispatch::session::{Command, Outbox};
use crate::domain::error::{ProtocolFault, chain};
use crate::domain::id::OrganizationId;
use crate::domain::job::{Finished, Grip, Hold, Permit};
use crate::domain::{Error, Result};
use crate::grpc::convert::stream as convert;
use crate::grpc::status;
use crate::service::daemon_session::{Hello, Welcome};
use crate::service::{KeyIdentity, Service};

/// How long a daemon's message waits for the database until it is tried again.
const RETRY: Duration = Duration::from_millis(500);
/// How long a connected daemon may take to register.
const PATIENCE: Duration = Duration::from_secs(10);

type Messages = Pin<Box<dyn Stream<Item = Result<pb::ServerMessage, Status>> + Send>>;

/// Registers the daemon and starts to serve it.
pub(super) async fn open(
    service: Arc<Service>,
    key: KeyIdentity,
    mut messages: Streaming<pb::DaemonMessage>,
) -> Result<Messages> {
    let first = tokio::time::timeout(PATIENCE, messages.message()).await;
    let Ok(Ok(Some(pb::DaemonMessage { message: Some(Message::Register(register)) }))) = first else {
        return Err(Error::Protocol(ProtocolFault::NotRegistered));
    };
    let welcome = service.daemon_connect(&key, hello(register)?).await?;
    let Welcome { session, outbox, daemon, registered_at, organization, organization_name, tags, resumed, lost } =
        welcome;
    let (salvage, resumed): (Vec<_>, Vec<_>) = resumed.into_iter().partition(|job| job.grip == Grip::Salvage);
    let salvage = salvage.into_iter().map(|job| lost_job(job.hold, job.next_log_number));
    let options = &service.provisioners;
    let registered = pb::Registered {
        daemon_id: daemon.to_string(),
        organization_id: organization.to_string(),
        organization_name,
        tags: tags.as_map().clone().into_iter().collect(),
        heartbeat_interval: Some(convert::duration(options.heartbeat)),
        lease: Some(convert::duration(options.lease)),
        apply_lease: Some(convert::duration(options.apply_lost_after)),
        resumed: resumed
            .into_iter()
            .map(|job| pb::ResumedJob {
                job_id: job.hold.job.to_string(),
                lease_id: job.hold.lease.0,
                next_log_number: job.next_log_number,
            })
            .collect(),
        lost: lost.into_iter().map(|hold| lost_job(hold, 0)).chain(salvage).collect(),
        log_credit: options.log_credit,
        log_limit: options.log_limit,
        protocol_version: PROTOCOL_VERSION.to_owned(),
    };
    let first = pb::ServerMessage { message: Some(pb::server_message::Message::Registered(registered)) };
    let end = outbox.end.clone();
    let outgoing = outgoing(service.clone(), first, outbox);
    tokio::spawn(async move {
        let reader = Reader { service, session, organization };
        tokio::select! {
            () = end.cancelled() => {}
            () = reader.run(messages) => reader.service.daemon_leave(session, registered_at).await,
        }
        reader.service.dispatcher.detach(session);
        end.cancel();
    });
    Ok(outgoing)
}

fn lost_job(hold: Hold, next_log_number: i64) -> pb::LostJob {
    pb::LostJob {
        job_id: hold.job.to_string(),
        lease_id: hold.lease.0,
        reason: "The lease lapsed, or the job ended otherwise.".to_owned(),
        next_log_number,
    }
}

fn hello(register: pb::Register) -> Result<Hello> {
    let pb::Register { instance_id, name, version, protocol_version, engines, capacity, held, organization } = register;
    let hold = |held: pb::HeldJob| {
        convert::known::<pb::JobPhase>("phase", held.phase)?;
        convert::hold(&held.job_id, &held.lease_id)
    };
    Ok(Hello {
        instance: instance_id,
        name,
        version,
        protocol_version,
        engines: engines.into_iter().map(|engine| engine.name).collect(),
        capacity,
        held: held.into_iter().map(hold).collect::<Result<_>>()?,
        organization,
    })
}

/// What the daemon is sent: `Registered`, then its commands until one of them is the end. A daemon that lets its
/// commands pile up, or went away, gets what is queued and no more.
fn outgoing(service: Arc<Service>, first: pb::ServerMessage, outbox: Outbox) -> Messages {
    let state = (Some(first), Some((service, outbox)));
    Box::pin(stream::unfold(state, |(first, open)| async move {
        if let Some(first) = first {
            return Some((Ok(first), (None, open)));
        }
        let (service, Outbox { mut commands, end }) = open?;
        let command = tokio::select! {
            biased;
            command = commands.recv() => command,
            () = end.cancelled() => None,
        };
        let Some(command) = command else {
            let gone = Status::unavailable("the session is over: the daemon read too slowly or was taken over");
            return Some((Err(gone), (None, None)));
        };
        match convert::message(command, &service.provisioners) {
            Ok(message) => Some((Ok(message), (None, Some((service, Outbox { commands, end }))))),
            Err(error) => Some((Err(status::of(error)), (None, None))),
        }
    }))
}

/// Takes what a daemon sends.
struct Reader {
    service: Arc<Service>,
    session: SessionId,
    organization: OrganizationId,
}

impl Reader {
    async fn run(&self, messages: Streaming<pb::DaemonMessage>) {
        let dispatcher = &self.service.dispatcher;
        let mut inbox = Inbox::new(messages);
        while let Some(arrival) = inbox.message().await {
            let message = match arrival {
                Ok(message) => message,
                // Where the connection broke nobody hears this; a message over the limit comes here too.
                Err(unreadable) => {
                    let fault = ProtocolFault::Unreadable(unreadable.message().to_owned());
                    dispatcher.tell(self.session, Command::End(Error::Protocol(fault)));
                    return;
                }
            };
            dispatcher.heard(self.session);
            match self.take_in_time(message).await {
                Ok(Some(reply)) => dispatcher.tell(self.session, reply),
                Ok(None) => {}
                Err(error) => {
                    dispatcher.tell(self.session, Command::End(error));
                    return;
                }
            }
        }
    }

    /// One message, as soon as the database is there for it: a session is worth more than its place. Whatever was done and
    /// not confirmed may be done again.
    async fn take_in_time(&self, message: pb::DaemonMessage) -> Result<Option<Command>> {
        loop {
            match self.take(message.clone()).await {
                Err(Error::Unavailable(cause)) => {
                    tracing::warn!(error = %chain(cause.as_ref()), "the database is away; a daemon waits");
                    tokio::time::sleep(RETRY).await;
                }
                done => return done,
            }
        }
    }

    /// One message; what is answered to it. An error ends the session.
    async fn take(&self, message: pb::DaemonMessage) -> Result<Option<Command>> {
        let dispatcher = &self.service.dispatcher;
        match message.message.ok_or(Error::Protocol(ProtocolFault::Empty))? {
            Message::Register(_) => Err(Error::Protocol(ProtocolFault::RegisteredTwice)),
            Message::Accepted(pb::Accepted { job_id, lease_id }) => {
                let hold = convert::hold(&job_id, &lease_id)?;
                self.answer_loss(hold.clone(), dispatcher.check_own(self.session, &hold).map(|()| None))
            }
            Message::Rejected(rejected) => {
                let reason = convert::rejection(rejected.reason)?;
                let hold = convert::hold(&rejected.job_id, &rejected.lease_id)?;
                if let Err(error) = dispatcher.check_own(self.session, &hold) {
                    return self.answer_loss(hold, Err(error));
                }
                let detail = rejected.detail.chars().take(200).collect::<String>();
                tracing::info!(job = %hold.job, ?reason, detail, "a daemon gave a job back");
                dispatcher.rejected(self.session, &hold, reason).await.map(|()| None)
            }
            Message::Logs(pb::Logs { job_id, lease_id, first_number, entries, overflowed }) => {
                let hold = convert::hold(&job_id, &lease_id)?;
                let bytes: usize = entries.iter().map(|entry| entry.output.len()).sum();
                self.service.store.metrics().log(u64::try_from(bytes).unwrap_or(u64::MAX));
                let batch = convert::logs(first_number, entries, overflowed)?;
                self.under_lease(hold, async |hold: &Hold| {
                    let log_number = dispatcher.queue().append(hold, batch).await?;
                    Ok(Some(Command::Ack { hold: hold.clone(), log_number, state_serial: 0 }))
                })
                .await
            }
            Message::Discovered(discovered) => {
                let pb::Discovered { job_id, lease_id, readme, variables, workspace_tags: _ } = discovered;
                let hold = convert::hold(&job_id, &lease_id)?;
                let discovery = convert::discovery(readme, variables)?;
                self.under_lease(hold, async |hold: &Hold| {
                    dispatcher.queue().discovered(hold, &discovery).await.map(|()| None)
                })
                .await
            }
            Message::ApplyRequest(pb::ApplyRequest { job_id, lease_id, daily_cost }) => {
                let hold = convert::hold(&job_id, &lease_id)?;
                let answer = self.under_lease(hold.clone(), async |hold: &Hold| {
                    let permit = dispatcher.queue().permit(hold, daily_cost).await?;
                    Ok(Some(Command::Verdict(hold.clone(), permit)))
                });
                // A lost lease is a verdict here: the daemon waits for one.
                Ok(match answer.await? {
                    Some(Command::LeaseLost(hold)) => Some(Command::Verdict(hold, Permit::Lost)),
                    answer => answer,
                })
            }
            Message::Checkpoint(pb::Checkpoint { job_id, lease_id, state }) => {
                let hold = convert::hold(&job_id, &lease_id)?;
                let state = state.ok_or_else(|| {
                    Error::Protocol(ProtocolFault::Field { field: "state", rule: "must be set".to_owned() })
                })?;
                let state = convert::state(state)?;
                self.under_lease(hold, async |hold: &Hold| {
                    let state_serial = dispatcher.queue().checkpoint(hold, &state).await?;
                    Ok(Some(Command::Ack { hold: hold.clone(), log_number: 0, state_serial }))
                })
                .await
            }
            Message::Result(result) => self.result(result).await,
            Message::Heartbeat(pb::Heartbeat { free_slots, load: _, engines_healthy, disk_free: _ }) => {
                dispatcher.offered(self.session, free_slots, engines_healthy);
                Ok(None)
            }
            Message::Draining(pb::Draining {}) => {
                dispatcher.draining(self.session);
                Ok(None)
            }
        }
    }

    async fn result(&self, result: pb::Result) -> Result<Option<Command>> {
        let dispatcher = &self.service.dispatcher;
        let hold = convert::hold(&result.job_id, &result.lease_id)?;
        let report = convert::report(result)?;
        let own = dispatcher.check_own(self.session, &hold);
        // Not this session's, but maybe this daemon's from before: who knows the lease that ended a job had it.
        match (dispatcher.finished(self.session, self.organization, &hold, &report).await?, own) {
            (Finished::Stored | Finished::Already, _) => Ok(Some(Command::ResultStored(hold))),
            (Finished::Lost, Ok(()) | Err(Error::LeaseLost(_))) => Ok(Some(Command::LeaseLost(hold))),
            (Finished::Lost, Err(error)) => Err(error),
        }
    }

    /// Does something about a job that the daemon was given. When it hasn't the job any more, it is told so, and the stream
    /// goes on: who was too slow has broken no rule, and may have other jobs.
    async fn under_lease(
        &self,
        hold: Hold,
        act: impl AsyncFnOnce(&Hold) -> Result<Option<Command>>,
    ) -> Result<Option<Command>> {
        let done = match self.service.dispatcher.check_own(self.session, &hold) {
            Ok(()) => act(&hold).await,
            Err(error) => Err(error),
        };
        self.answer_loss(hold, done)
    }

    fn answer_loss(&self, hold: Hold, done: Result<Option<Command>>) -> Result<Option<Command>> {
        match done {
            Err(Error::LeaseLost(_)) => Ok(Some(Command::LeaseLost(hold))),
            done => done,
        }
    }
}

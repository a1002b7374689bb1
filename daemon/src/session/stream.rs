//! One stream: from Register to its end.

use std::time::{Duration, SystemTime};

use orgplane_proto::PROTOCOL_VERSION;
use orgplane_proto::provisioner::v1::daemon_message::Message;
use orgplane_proto::provisioner::v1::server_message::Message as Said;
use orgplane_proto::provisioner::v1::{
    DaemonMessage, Draining, GoAwayReason, Heartbeat, LogEntry, LogLevel, LogSource, Logs, Register, Registered,
    ServerMessage,
};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::bytes::Way;
use super::connect::{self, Client};
use super::jobs::{DEFAULT_CREDIT, Jobs};
use super::{Session, Stopping};
use crate::Error;
use crate::job::terms::Terms;

const REGISTER_LIMIT: Duration = Duration::from_secs(30);
const CLOSE_LIMIT: Duration = Duration::from_secs(2);
const QUEUE: usize = 8;
const DEFAULT_LOG_LIMIT: u64 = 1024 * 1024;
/// The server is to be heard from at least every 15 seconds.
const SILENCE: Duration = Duration::from_secs(45);

/// How a stream ended without a fatal error.
#[derive(Debug)]
pub(super) enum End {
    /// All is done and the daemon may end.
    Stopped,
    /// To be opened again: the cause, and when where the server says so.
    Again { cause: String, after: Option<Duration>, registered: bool },
}

struct Stream<'a> {
    session: &'a Session,
    jobs: &'a mut Jobs,
    inbound: Streaming<ServerMessage>,
    outbound: mpsc::Sender<DaemonMessage>,
    credit: u64,
    heartbeat_due: bool,
    draining_told: bool,
    revoked: bool,
}

/// Opens a stream and serves it to its end.
pub(super) async fn serve(
    session: &Session,
    jobs: &mut Jobs,
    mut client: Client,
    stopping: &mut Stopping,
) -> Result<End, Error> {
    let (outbound, queue) = mpsc::channel(QUEUE);
    let judged = |status: &Status, registered: bool| {
        let cause = connect::judge(status, registered, &session.config)?;
        Ok(End::Again { cause, after: None, registered })
    };
    let register = DaemonMessage { message: Some(Message::Register(register(session, jobs))) };
    if outbound.send(register).await.is_err() {
        return Ok(End::Again { cause: "the stream closed".to_owned(), after: None, registered: false });
    }
    let opening = async {
        let mut inbound = client.connect(ReceiverStream::new(queue)).await?.into_inner();
        let first = inbound.message().await?;
        Ok::<_, Status>((inbound, first))
    };
    let opened = tokio::select! {
        opened = tokio::time::timeout(REGISTER_LIMIT, opening) => opened,
        () = stopping.idle(jobs) => return Ok(End::Stopped),
    };
    let (inbound, first) = match opened {
        Err(_) => {
            let cause = format!("the server didn't answer within {} seconds", REGISTER_LIMIT.as_secs());
            return Ok(End::Again { cause, after: None, registered: false });
        }
        Ok(Err(status)) => return judged(&status, false),
        Ok(Ok(opened)) => opened,
    };
    let Some(Said::Registered(registered)) = first.and_then(|m| m.message) else {
        return Ok(End::Again { cause: "the server didn't register us".to_owned(), after: None, registered: false });
    };
    check_organization(session, &registered)?;
    tracing::info!(
        name = session.config.name,
        url = session.config.server.url,
        organization = registered.organization_name,
        daemon = registered.daemon_id,
        tags = ?registered.tags,
        "connected"
    );
    let credit = if registered.log_credit == 0 { DEFAULT_CREDIT } else { registered.log_credit };
    let mut stream =
        Stream { session, jobs, inbound, outbound, credit, heartbeat_due: true, draining_told: false, revoked: false };
    stream.begin(&registered, client);
    session.config.vitals.registered();
    let end = stream.run(&registered, stopping).await;
    session.config.vitals.disconnected();
    let revoked = stream.revoked;
    if matches!(end, Ok(Ok(End::Stopped) | Err(_))) {
        stream.close().await;
    }
    session.way.send_replace(Way::Broken);
    match end {
        Err(_) if revoked => Err(Error::KeyRevoked),
        Err(status) => judged(&status, true),
        Ok(end) => end,
    }
}

fn register(session: &Session, jobs: &Jobs) -> Register {
    Register {
        instance_id: session.instance.to_string(),
        name: session.config.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol_version: PROTOCOL_VERSION.to_owned(),
        engines: session.host.engines(),
        capacity: session.config.capacity,
        held: jobs.held(),
        organization: session.config.organization.clone().unwrap_or_default(),
    }
}

/// The server checks it too; one of another protocol minor may not.
fn check_organization(session: &Session, registered: &Registered) -> Result<(), Error> {
    let Some(expected) = &session.config.organization else { return Ok(()) };
    let named = registered.organization_name.eq_ignore_ascii_case(expected);
    if named || registered.organization_id.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    let detail = format!("it is of {:?}", registered.organization_name);
    Err(Error::Organization { expected: expected.clone(), detail })
}

fn duration(wire: Option<&prost_types::Duration>, default: Duration) -> Duration {
    wire.and_then(|d| Duration::try_from(*d).ok()).filter(|d| !d.is_zero()).unwrap_or(default)
}

/// In place of a line that can't be read back: without it the job's end would wait for the line for ever.
fn unreadable() -> LogEntry {
    LogEntry {
        time: Some(SystemTime::now().into()),
        source: LogSource::ProvisionerDaemon.into(),
        level: LogLevel::Warn.into(),
        stage: String::new(),
        output: "(this line is lost: the provisioner daemon can't read it back from its disk)".to_owned(),
    }
}

impl Stream<'_> {
    fn begin(&mut self, registered: &Registered, client: Client) {
        let lease = duration(registered.lease.as_ref(), Duration::from_secs(90));
        let log_limit = if registered.log_limit == 0 { DEFAULT_LOG_LIMIT } else { registered.log_limit };
        let apply_lease = duration(registered.apply_lease.as_ref(), Duration::from_secs(15 * 60));
        self.session.renewed(Terms { renewed: Instant::now(), lease, apply_lease, log_limit });
        self.jobs.resume(registered, self.credit, &self.session.config.vitals);
        self.session.way.send_replace(Way::Open(Box::new(client)));
    }

    async fn run(&mut self, registered: &Registered, stopping: &mut Stopping) -> Result<Result<End, Error>, Status> {
        let every = duration(registered.heartbeat_interval.as_ref(), Duration::from_secs(10));
        let silence = SILENCE.max(every * 4);
        let mut heartbeats = tokio::time::interval(every);
        heartbeats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        let mut more = true;
        loop {
            stopping.notice(self.jobs);
            self.jobs.forget_done();
            if stopping.is_draining() && !self.draining_told {
                more = true;
            }
            self.session.config.vitals.running(self.jobs.running());
            if self.revoked && self.jobs.is_empty() {
                return Ok(Err(Error::KeyRevoked));
            }
            let done = self.jobs.is_empty() && self.draining_told;
            if stopping.is_draining() && (done || stopping.gave_up()) {
                return Ok(Ok(End::Stopped));
            }
            tokio::select! {
                message = self.inbound.message() => {
                    heard = Instant::now();
                    let Some(message) = message? else { return Ok(self.ended("the server ended the stream")) };
                    if let Some(end) = self.hear(message) {
                        return Ok(end);
                    }
                    more = true;
                }
                permit = self.outbound.clone().reserve_owned(), if more => {
                    let Ok(permit) = permit else { return Ok(self.ended("the stream closed")) };
                    match self.next(stopping).await {
                        Some(message) => { permit.send(DaemonMessage { message: Some(message) }); }
                        None => more = false,
                    }
                }
                () = self.session.wake.notified() => more = true,
                _ = heartbeats.tick() => {
                    self.heartbeat_due = true;
                    more = true;
                }
                () = stopping.changed(self.jobs) => more = true,
                () = tokio::time::sleep_until(heard + silence) => {
                    return Ok(self.ended("nothing was heard from the server for too long"));
                }
            }
        }
    }

    /// Ends our side, and waits a little for the other: what was said last is to arrive.
    async fn close(self) {
        let Self { mut inbound, outbound, .. } = self;
        drop(outbound);
        let ended = async { while let Ok(Some(_)) = inbound.message().await {} };
        if tokio::time::timeout(CLOSE_LIMIT, ended).await.is_err() {
            tracing::debug!("the server didn't end the stream");
        }
    }

    fn ended(&self, cause: &str) -> Result<End, Error> {
        if self.revoked {
            return Err(Error::KeyRevoked);
        }
        Ok(End::Again { cause: cause.to_owned(), after: None, registered: true })
    }

    /// The most urgent thing to say: life and control before bulk.
    async fn next(&mut self, stopping: &Stopping) -> Option<Message> {
        if std::mem::take(&mut self.heartbeat_due) {
            return Some(Message::Heartbeat(self.heartbeat()));
        }
        if stopping.is_draining() && !std::mem::replace(&mut self.draining_told, stopping.is_draining()) {
            return Some(Message::Draining(Draining {}));
        }
        if let Some(message) = self.jobs.next_message() {
            return Some(message);
        }
        let (job, batch) = self.jobs.next_logs()?;
        let spool = job.spool.clone();
        let (first_number, overflowed, lines) = (batch.first, batch.overflowed, batch.lines);
        let read = tokio::task::spawn_blocking(move || spool.read(&batch)).await;
        let entries = read.map_err(std::io::Error::other).and_then(|entries| entries).unwrap_or_else(|error| {
            tracing::error!(job = %job.assign.job_id, %error, lines, "a job's log can't be read back");
            vec![unreadable(); lines]
        });
        Some(Message::Logs(Logs {
            job_id: job.assign.job_id.clone(),
            lease_id: job.assign.lease_id.clone(),
            first_number,
            entries,
            overflowed,
        }))
    }

    fn heartbeat(&self) -> Heartbeat {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let disk = nix::sys::statvfs::statvfs(&self.session.work_dir);
        Heartbeat {
            free_slots: self.session.config.capacity.saturating_sub(self.jobs.running()),
            load: load.split(' ').next().and_then(|one| one.parse().ok()).unwrap_or(0.0),
            engines_healthy: self.session.engines_healthy(),
            disk_free: disk.map_or(0, |d| d.blocks_available().saturating_mul(d.fragment_size())),
        }
    }

    /// Acts on a message; an end ends the stream.
    fn hear(&mut self, message: ServerMessage) -> Option<Result<End, Error>> {
        let Some(message) = message.message else {
            tracing::debug!("a message of a kind that this daemon doesn't know");
            return None;
        };
        match message {
            Said::Registered(_) => return Some(self.ended("the server registered us twice")),
            Said::Assign(assign) => {
                let draining = self.draining_told || self.revoked;
                self.jobs.assign(self.session, assign, draining, self.credit);
            }
            Said::Ack(ack) => self.jobs.with(&ack.lease_id, |job| {
                job.acknowledged(ack.log_number, ack.state_serial, ack.log_credit);
            }),
            Said::ApplyVerdict(verdict) => self.jobs.with(&verdict.lease_id.clone(), |job| job.judge(verdict)),
            Said::HeartbeatAck(_) => {
                let terms = *self.session.terms.borrow();
                self.session.renewed(Terms { renewed: Instant::now(), ..terms });
            }
            Said::ResultStored(stored) => {
                self.session.config.vitals.done();
                self.jobs.forget(&stored.lease_id);
            }
            Said::Cancel(cancel) => self.jobs.with(&cancel.lease_id, |job| {
                tracing::info!(job = %cancel.job_id, reason = cancel.reason, "job canceled");
                job.cancel(&cancel);
            }),
            Said::LeaseLost(lost) => self.jobs.lose(&lost.lease_id, &lost.reason, &self.session.config.vitals),
            Said::GoAway(away) => {
                let cause = match away.reason() {
                    GoAwayReason::KeyRevoked => {
                        tracing::error!("the provisioner key was revoked; running jobs are interrupted");
                        self.revoked = true;
                        self.jobs.revoke();
                        return None;
                    }
                    GoAwayReason::Draining => "the server is going down",
                    GoAwayReason::Superseded => "a newer connection of this daemon took over",
                    GoAwayReason::Unspecified => "the server asks to reconnect",
                };
                let after = away.retry_after.and_then(|d| Duration::try_from(d).ok());
                return Some(Ok(End::Again { cause: cause.to_owned(), after, registered: true }));
            }
        }
        None
    }
}

//! A daemon that says what a test tells it to, over the real stream.

use std::time::Duration;

use orgplane_proto::PROTOCOL_VERSION;
use orgplane_proto::provisioner::v1::assign::Job;
use orgplane_proto::provisioner::v1::daemon_message::Message as Said;
use orgplane_proto::provisioner::v1::server_message::Message as Heard;
use orgplane_proto::provisioner::v1::upload_request::Message as Piece;
use orgplane_proto::provisioner::v1::{
    Accepted, Ack, ApplyRequest, ApplyVerdict, Assign, DaemonMessage, Engine, Heartbeat, LogEntry, LogLevel, LogSource,
    Logs, Outcome, Reference, Register, Registered, Result as JobResult, ServerMessage, UploadHeader, UploadKind,
    UploadRequest,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::archive::Archive;
use crate::deployment::Deployment;
use crate::grpc::Api;
use crate::rest::Rest;
use crate::wait::SHORT;

/// An open stream.
#[derive(Debug)]
pub struct Session {
    api: Api,
    say: mpsc::Sender<DaemonMessage>,
    hear: Streaming<ServerMessage>,
    heart: Option<JoinHandle<()>>,
}

/// A daemon that ends every job well; it goes with this.
#[derive(Debug)]
pub struct Obedient(JoinHandle<()>);

impl Drop for Obedient {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(heart) = &self.heart {
            heart.abort();
        }
    }
}

/// A daemon that is silent for too long gets no jobs.
async fn beat(say: mpsc::Sender<DaemonMessage>) {
    let heartbeat = Heartbeat { free_slots: 1, engines_healthy: true, ..Heartbeat::default() };
    let message = DaemonMessage { message: Some(Said::Heartbeat(heartbeat)) };
    while say.send(message.clone()).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
}

/// What a daemon registers with that says it has Terraform.
#[must_use]
pub fn register(name: &str) -> Register {
    Register {
        instance_id: uuid::Uuid::new_v4().to_string(),
        name: name.to_owned(),
        version: "0.0.0-test".to_owned(),
        protocol_version: PROTOCOL_VERSION.to_owned(),
        engines: vec![Engine { name: "terraform".to_owned(), version: "1.11.4".to_owned() }],
        capacity: 1,
        held: Vec::new(),
        organization: String::new(),
    }
}

/// The reference of some bytes.
#[must_use]
pub fn reference(bytes: &[u8]) -> Reference {
    let sha256 = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    Reference { sha256, size: bytes.len() as u64 }
}

impl Session {
    /// Opens a stream with a first message, or none.
    ///
    /// # Errors
    /// What the server ends it with at once.
    ///
    /// # Panics
    /// When nothing comes of it in time.
    pub async fn open(deployment: &Deployment, key: Option<&str>, first: Option<Said>) -> Result<Self, Status> {
        Self::open_at(deployment.url(), key, first).await
    }

    async fn open_at(url: &str, key: Option<&str>, first: Option<Said>) -> Result<Self, Status> {
        let api = Api::connect(url, key).await;
        let (say, said) = mpsc::channel(64);
        if let Some(message) = first {
            say.try_send(DaemonMessage { message: Some(message) }).expect("room");
        }
        let connecting = api.daemons().max_decoding_message_size(16 << 20).connect(ReceiverStream::new(said)).await;
        Ok(Self { api, say, hear: connecting?.into_inner(), heart: None })
    }

    /// Opens one and registers.
    ///
    /// # Errors
    /// What the server ends it with.
    ///
    /// # Panics
    /// When the first answer isn't `Registered`.
    pub async fn register(deployment: &Deployment, key: &str, message: Register) -> Result<(Self, Registered), Status> {
        Self::register_at(deployment.url(), key, message).await
    }

    async fn register_at(url: &str, key: &str, message: Register) -> Result<(Self, Registered), Status> {
        let mut session = Self::open_at(url, Some(key), Some(Said::Register(message))).await?;
        match session.hear().await? {
            Some(Heard::Registered(registered)) => {
                session.heart = Some(tokio::spawn(beat(session.say.clone())));
                Ok((session, registered))
            }
            other => panic!("expected Registered, got {other:?}"),
        }
    }

    /// A registered daemon.
    ///
    /// # Panics
    /// When the server doesn't take it.
    pub async fn start(deployment: &Deployment, key: &str, name: &str) -> Self {
        Self::register(deployment, key, register(name)).await.expect("registered").0
    }

    /// A registered daemon at one of several servers. It sends no heartbeats, which would make its server look for jobs.
    ///
    /// # Panics
    /// When the server doesn't take it.
    pub async fn start_at(url: &str, key: &str, name: &str) -> Self {
        let (mut session, _) = Self::register_at(url, key, register(name)).await.expect("registered");
        if let Some(heart) = session.heart.take() {
            heart.abort();
        }
        session
    }

    /// A daemon that ends every job well, without doing anything, for as long as the returned guard lives.
    pub async fn obedient(deployment: &Deployment, key: &str, name: &str) -> Obedient {
        let mut session = Self::start(deployment, key, name).await;
        Obedient(tokio::spawn(async move {
            while let Ok(Some(heard)) = session.hear_patiently().await {
                if let Heard::Assign(assign) = heard {
                    let (job_id, lease_id) = (assign.job_id.clone(), assign.lease_id.clone());
                    session.say(Said::Accepted(Accepted { job_id, lease_id })).await;
                    if matches!(assign.job, Some(Job::WorkspaceBuild(_))) {
                        session.permit(&assign).await;
                    }
                    session.finish(&assign, Outcome::Succeeded, 0).await;
                }
            }
        }))
    }

    async fn hear_patiently(&mut self) -> Result<Option<Heard>, Status> {
        Ok(self.hear.message().await?.and_then(|message| message.message))
    }

    /// Says something; nothing happens when the stream has ended.
    pub async fn say(&self, message: Said) {
        let _ = self.say.send(DaemonMessage { message: Some(message) }).await;
    }

    /// Says something without content.
    pub async fn say_nothing(&self) {
        let _ = self.say.send(DaemonMessage { message: None }).await;
    }

    /// The server's next message; `None` at the stream's end.
    ///
    /// # Errors
    /// What the server ended the stream with.
    ///
    /// # Panics
    /// When nothing comes in time, or a message without content.
    pub async fn hear(&mut self) -> Result<Option<Heard>, Status> {
        let message = tokio::time::timeout(SHORT, self.hear.message()).await.expect("the server says something");
        Ok(message?.map(|message| message.message.expect("content")))
    }

    /// The next message that `find` takes; others are passed over.
    ///
    /// # Panics
    /// When the stream ends before.
    pub async fn find<T>(&mut self, what: &str, find: impl Fn(Heard) -> Option<T>) -> T {
        let listen = async {
            loop {
                match self.hear().await {
                    Ok(Some(message)) => {
                        if let Some(found) = find(message) {
                            return found;
                        }
                    }
                    ended => panic!("the stream ended before {what}: {ended:?}"),
                }
            }
        };
        tokio::time::timeout(SHORT, listen).await.unwrap_or_else(|_| panic!("no {what} in {SHORT:?}"))
    }

    /// Whether a message that `find` takes comes within a time.
    ///
    /// # Panics
    /// When the stream ends before.
    pub async fn hears(&mut self, patience: Duration, find: impl Fn(&Heard) -> bool) -> bool {
        let listen = async {
            loop {
                match self.hear().await {
                    Ok(Some(message)) if find(&message) => return,
                    Ok(Some(_)) => {}
                    ended => panic!("the stream ended: {ended:?}"),
                }
            }
        };
        tokio::time::timeout(patience, listen).await.is_ok()
    }

    /// Waits for the error that ends the stream.
    ///
    /// # Panics
    /// When it ends without one.
    pub async fn end(mut self) -> Status {
        loop {
            match self.hear().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the stream ended without a reason"),
                Err(status) => return status,
            }
        }
    }

    /// The next job, accepted.
    pub async fn take_job(&mut self) -> Assign {
        let assign = self
            .find("Assign", |message| match message {
                Heard::Assign(assign) => Some(assign),
                _ => None,
            })
            .await;
        let (job_id, lease_id) = (assign.job_id.clone(), assign.lease_id.clone());
        self.say(Said::Accepted(Accepted { job_id, lease_id })).await;
        assign
    }

    /// Does the import of a template `k8s` of its organization; the template.
    ///
    /// # Panics
    /// When another job is waiting.
    pub async fn template(&mut self, owner: &Rest, organization: &str) -> Value {
        let version = owner.import(organization, Archive::terraform("hello"), "terraform", json!({})).await;
        let assign = self.take_job().await;
        self.finish(&assign, Outcome::Succeeded, 0).await;
        let body = json!({"name": "k8s", "template_version_id": version["id"]});
        owner.post(&format!("/api/v2/organizations/{organization}/templates"), body).await.expect(201)
    }

    /// Says log lines from a number on.
    pub async fn log(&self, assign: &Assign, first_number: i64, lines: &[&str]) {
        self.say(Said::Logs(logs(assign, first_number, lines))).await;
    }

    /// Waits until a line is acknowledged.
    pub async fn acknowledged(&mut self, number: i64) -> Ack {
        self.find("Ack", |message| match message {
            Heard::Ack(ack) if ack.log_number >= number => Some(ack),
            _ => None,
        })
        .await
    }

    /// Asks for the permit.
    pub async fn permit(&mut self, assign: &Assign) -> ApplyVerdict {
        let (job_id, lease_id) = (assign.job_id.clone(), assign.lease_id.clone());
        self.say(Said::ApplyRequest(ApplyRequest { job_id, lease_id, daily_cost: 0 })).await;
        self.find("ApplyVerdict", |message| match message {
            Heard::ApplyVerdict(verdict) => Some(verdict),
            _ => None,
        })
        .await
    }

    /// Hands in a result and waits until it is stored.
    pub async fn finish(&mut self, assign: &Assign, outcome: Outcome, last_log_number: i64) {
        self.say(Said::Result(result(assign, outcome, last_log_number))).await;
        self.find("ResultStored", |message| matches!(message, Heard::ResultStored(_)).then_some(())).await;
    }

    /// Uploads a state under the job's lease.
    ///
    /// # Errors
    /// What the server refuses it with.
    pub async fn upload(&self, assign: &Assign, reference: Reference, bytes: &[u8]) -> Result<Reference, Status> {
        let (job_id, lease_id) = (assign.job_id.clone(), assign.lease_id.clone());
        let kind = UploadKind::State.into();
        let header = UploadHeader { job_id, lease_id, kind, reference: Some(reference) };
        let mut pieces = vec![UploadRequest { message: Some(Piece::Header(header)) }];
        pieces.extend(bytes.chunks(256 * 1024).map(|data| UploadRequest { message: Some(Piece::Data(data.to_vec())) }));
        let stored = self.api.daemons().upload(tokio_stream::iter(pieces)).await?.into_inner();
        Ok(stored.reference.expect("a reference"))
    }

    /// The connection.
    #[must_use]
    pub fn api(&self) -> &Api {
        &self.api
    }
}

/// Log lines of a job.
#[must_use]
pub fn logs(assign: &Assign, first_number: i64, lines: &[&str]) -> Logs {
    let entry = |output: &&str| LogEntry {
        time: Some(std::time::SystemTime::now().into()),
        source: LogSource::Provisioner.into(),
        level: LogLevel::Info.into(),
        stage: "Testing".to_owned(),
        output: (*output).to_owned(),
    };
    Logs {
        job_id: assign.job_id.clone(),
        lease_id: assign.lease_id.clone(),
        first_number,
        entries: lines.iter().map(entry).collect(),
        overflowed: false,
    }
}

/// A result without a payload's particulars.
#[must_use]
pub fn result(assign: &Assign, outcome: Outcome, last_log_number: i64) -> JobResult {
    use orgplane_proto::provisioner::v1::result::Payload;
    use orgplane_proto::provisioner::v1::{BuildResult, DryRunResult, ImportResult};
    let payload = match assign.job {
        Some(Job::TemplateImport(_)) => Some(Payload::TemplateImport(ImportResult::default())),
        Some(Job::WorkspaceBuild(_)) => Some(Payload::WorkspaceBuild(BuildResult::default())),
        Some(Job::DryRun(_)) => Some(Payload::DryRun(DryRunResult::default())),
        None => None,
    };
    JobResult {
        job_id: assign.job_id.clone(),
        lease_id: assign.lease_id.clone(),
        outcome: outcome.into(),
        error: if outcome == Outcome::Succeeded { String::new() } else { "the script says so".to_owned() },
        last_log_number,
        payload,
        ..JobResult::default()
    }
}

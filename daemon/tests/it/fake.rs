//! A server that does what a test tells it.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use orgplane_daemon::{Config, EngineKind, Error, Secret, ShimCommand, Stop};
use orgplane_proto::ERROR_DOMAIN;
use orgplane_proto::provisioner::v1::daemon_message::Message;
use orgplane_proto::provisioner::v1::provisioner_daemon_service_server::{
    ProvisionerDaemonService, ProvisionerDaemonServiceServer,
};
use orgplane_proto::provisioner::v1::server_message::Message as Say;
use orgplane_proto::provisioner::v1::{
    Ack, ApplyVerdict, Assign, BuildJob, Checkpoint, DaemonMessage, Discovered, DownloadRequest, DownloadResponse,
    HeartbeatAck, ImportJob, JobMetadata, ListProvisionerDaemonsRequest, ListProvisionerDaemonsResponse, LogEntry,
    Reference, Register, Registered, Rejected, Result as JobResult, ResultStored, ServerMessage, StateReference,
    UploadRequest, UploadResponse, Verdict, WorkspaceTransition, assign, upload_request,
};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::Stream;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_types::{ErrorDetails, StatusExt as _};

pub(crate) const KEY: &str = "orgp_test";
const LIMIT: Duration = Duration::from_secs(60);

type BoxStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;
/// What uploads are answered with instead of being stored.
type Refusal = Arc<Mutex<Option<Status>>>;
type Blobs = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// As the server itself says no.
pub(crate) fn refusal(code: Code, text: &str) -> Status {
    Status::with_error_details(code, text, ErrorDetails::with_error_info("REASON", ERROR_DOMAIN, HashMap::new()))
}

/// One stream of a daemon, seen from the server.
pub(crate) struct Peer {
    pub(crate) register: Register,
    /// It answers heartbeats.
    pub(crate) renews: bool,
    /// What it says to apply requests.
    pub(crate) verdict: Verdict,
    pub(crate) from: mpsc::Receiver<DaemonMessage>,
    to: mpsc::Sender<Result<ServerMessage, Status>>,
}

struct Service {
    blobs: Blobs,
    refusal: Refusal,
    peers: mpsc::Sender<Peer>,
}

#[tonic::async_trait]
impl ProvisionerDaemonService for Service {
    type ConnectStream = ReceiverStream<Result<ServerMessage, Status>>;
    type DownloadStream = BoxStream<DownloadResponse>;

    async fn list_provisioner_daemons(
        &self,
        _: Request<ListProvisionerDaemonsRequest>,
    ) -> Result<Response<ListProvisionerDaemonsResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn connect(
        &self,
        request: Request<Streaming<DaemonMessage>>,
    ) -> Result<Response<Self::ConnectStream>, Status> {
        let key = request.metadata().get("authorization").and_then(|v| v.to_str().ok());
        if key != Some(&format!("Bearer {KEY}")) {
            return Err(refusal(Code::Unauthenticated, "the key is unknown"));
        }
        let mut inbound = request.into_inner();
        let (to, outbound) = mpsc::channel(64);
        let (sender, from) = mpsc::channel(1024);
        let peers = self.peers.clone();
        tokio::spawn(async move {
            let Ok(Some(DaemonMessage { message: Some(Message::Register(register)) })) = inbound.message().await else {
                return;
            };
            let to_peer = to.clone();
            drop(to);
            if peers.send(Peer { register, renews: true, verdict: Verdict::Go, from, to: to_peer }).await.is_err() {
                return;
            }
            while let Ok(Some(message)) = inbound.message().await {
                if sender.send(message).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(outbound)))
    }

    async fn download(&self, request: Request<DownloadRequest>) -> Result<Response<Self::DownloadStream>, Status> {
        let sha256 = request.into_inner().reference.unwrap_or_default().sha256;
        let bytes =
            self.blobs.lock().unwrap().get(&sha256).cloned().ok_or_else(|| refusal(Code::NotFound, "no such bytes"))?;
        let chunks: Vec<_> = bytes.chunks(1000).map(|c| Ok(DownloadResponse { data: c.to_vec() })).collect();
        Ok(Response::new(Box::pin(tokio_stream::iter(chunks))))
    }

    async fn upload(&self, request: Request<Streaming<UploadRequest>>) -> Result<Response<UploadResponse>, Status> {
        let mut inbound = request.into_inner();
        let (mut reference, mut bytes) = (None, Vec::new());
        while let Some(part) = inbound.message().await? {
            match part.message {
                Some(upload_request::Message::Header(header)) => reference = header.reference,
                Some(upload_request::Message::Data(data)) => bytes.extend(data),
                None => {}
            }
        }
        let reference = reference.ok_or_else(|| Status::invalid_argument("no header"))?;
        if let Some(refusal) = self.refusal.lock().unwrap().clone() {
            return Err(refusal);
        }
        assert_eq!(store(&self.blobs, bytes), reference);
        Ok(Response::new(UploadResponse { reference: Some(reference) }))
    }
}

fn store(blobs: &Blobs, bytes: Vec<u8>) -> Reference {
    let sha256: String = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
    let reference = Reference { sha256: sha256.clone(), size: bytes.len() as u64 };
    blobs.lock().unwrap().insert(sha256, bytes);
    reference
}

/// The server and the directory of its daemon.
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) dir: tempfile::TempDir,
    blobs: Blobs,
    refusal: Refusal,
    peers: mpsc::Receiver<Peer>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, peers) = mpsc::channel(8);
        let (blobs, refusal) = (Blobs::default(), Refusal::default());
        let service = Service { blobs: Arc::clone(&blobs), refusal: Arc::clone(&refusal), peers: sender };
        let serving = tonic::transport::Server::builder()
            .add_service(ProvisionerDaemonServiceServer::new(service))
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(serving);
        Self { url, dir: tempfile::tempdir().unwrap(), blobs, refusal, peers }
    }

    /// Refuses all uploads from now on, or none any more.
    pub(crate) fn refuse_uploads(&self, status: Option<Status>) {
        *self.refusal.lock().unwrap() = status;
    }

    pub(crate) fn config(&self, engine: EngineKind) -> Config {
        let mut config = Config::new(self.url.clone(), Secret::new(KEY)).unwrap();
        config.engines = [engine].into();
        config.work_dir = self.dir.path().join("work");
        config.cache_dir = self.dir.path().join("cache");
        let args = ["--exact", "shim_entry", "--nocapture"].map(OsString::from).to_vec();
        config.shim = ShimCommand { program: std::env::current_exe().unwrap(), args };
        config.intervals.backoff_min = Duration::from_millis(10);
        config.intervals.backoff_max = Duration::from_millis(200);
        config
    }

    /// Starts a daemon; it ends with the test's runtime at the latest.
    pub(crate) fn daemon(&self, engine: EngineKind) -> (Stop, JoinHandle<Result<(), Error>>) {
        self.daemon_with(self.config(engine))
    }

    pub(crate) fn daemon_with(&self, config: Config) -> (Stop, JoinHandle<Result<(), Error>>) {
        let stop = Stop::default();
        (stop.clone(), tokio::spawn(orgplane_daemon::run(config, stop)))
    }

    pub(crate) async fn peer(&mut self) -> Peer {
        tokio::time::timeout(LIMIT, self.peers.recv()).await.expect("a daemon connects").unwrap()
    }

    /// The next stream, answered with `Registered`.
    pub(crate) async fn registered(&mut self) -> Peer {
        let peer = self.peer().await;
        peer.say(Say::Registered(terms())).await;
        peer
    }

    pub(crate) fn bytes(&self, reference: &Reference) -> Vec<u8> {
        self.blobs.lock().unwrap()[&reference.sha256].clone()
    }

    pub(crate) fn put(&self, bytes: Vec<u8>) -> Reference {
        store(&self.blobs, bytes)
    }

    pub(crate) fn archive(&self, files: &[(&str, &str)]) -> Reference {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, text) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, text.as_bytes()).unwrap();
        }
        self.put(builder.into_inner().unwrap())
    }

    pub(crate) fn import(&self, engine: &str, files: &[(&str, &str)]) -> Assign {
        self.assign(engine, files, assign::Job::TemplateImport(ImportJob {}))
    }

    pub(crate) fn build(
        &self,
        engine: &str,
        files: &[(&str, &str)],
        transition: WorkspaceTransition,
        state: Option<StateReference>,
    ) -> Assign {
        let build = BuildJob { transition: transition.into(), state };
        self.assign(engine, files, assign::Job::WorkspaceBuild(build))
    }

    fn assign(&self, engine: &str, files: &[(&str, &str)], job: assign::Job) -> Assign {
        let metadata = JobMetadata { workspace_name: "dev".to_owned(), ..JobMetadata::default() };
        Assign {
            job_id: uuid::Uuid::new_v4().to_string(),
            lease_id: uuid::Uuid::new_v4().to_string(),
            attempt: 1,
            engine: engine.to_owned(),
            next_log_number: 1,
            archive: Some(self.archive(files)),
            metadata: Some(metadata),
            job: Some(job),
            ..Assign::default()
        }
    }
}

pub(crate) fn terms() -> Registered {
    let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
    Registered {
        daemon_id: "d".to_owned(),
        organization_id: "o".to_owned(),
        organization_name: "data-platform".to_owned(),
        heartbeat_interval: seconds(1),
        lease: seconds(60),
        apply_lease: seconds(60),
        log_credit: 16 * 1024,
        log_limit: 1024 * 1024,
        ..Registered::default()
    }
}

/// What a job told the server.
#[derive(Debug, Default)]
pub(crate) struct Story {
    pub(crate) accepted: bool,
    pub(crate) logs: Vec<LogEntry>,
    pub(crate) discovered: Option<Discovered>,
    pub(crate) asked: Option<i32>,
    pub(crate) checkpoints: Vec<StateReference>,
    pub(crate) rejected: Option<Rejected>,
    pub(crate) draining: bool,
    pub(crate) result: Option<JobResult>,
}

impl Story {
    pub(crate) fn text(&self) -> String {
        self.logs.iter().map(|l| format!("[{}] {}\n", l.stage, l.output)).collect()
    }

    pub(crate) fn count(&self, output: &str) -> usize {
        self.logs.iter().filter(|l| l.output.contains(output)).count()
    }

    pub(crate) fn result(&self) -> &JobResult {
        self.result.as_ref().expect("a result")
    }
}

impl Peer {
    pub(crate) async fn say(&self, message: Say) {
        self.to.send(Ok(ServerMessage { message: Some(message) })).await.unwrap();
    }

    pub(crate) async fn end(self, status: Status) {
        self.to.send(Err(status)).await.unwrap();
    }

    pub(crate) async fn hear(&mut self) -> Option<Message> {
        let heard = tokio::time::timeout(LIMIT, self.from.recv()).await.expect("a message in time");
        heard.map(|m| m.message.unwrap())
    }

    /// Answers everything about the job as a good server does, until `enough` or the result is stored.
    pub(crate) async fn follow(&mut self, job: &Assign, story: &mut Story, enough: impl Fn(&Story) -> bool) {
        let (job_id, lease_id) = (job.job_id.clone(), job.lease_id.clone());
        while story.result.is_none() && !enough(story) {
            match self.hear().await.expect("the stream goes on") {
                Message::Heartbeat(_) if !self.renews => {}
                Message::Heartbeat(_) => self.say(Say::HeartbeatAck(HeartbeatAck {})).await,
                Message::Draining(_) => story.draining = true,
                Message::Rejected(rejected) => story.rejected = Some(rejected),
                Message::Accepted(_) => story.accepted = true,
                Message::Discovered(discovered) => story.discovered = Some(discovered),
                // Another's that goes on meanwhile.
                Message::Logs(logs) if logs.job_id != job.job_id => {}
                Message::Logs(logs) => {
                    let next = story.logs.len() as i64 + 1;
                    assert!(logs.first_number <= next, "a gap: {} after {next}", logs.first_number);
                    let known = usize::try_from(next - logs.first_number).unwrap();
                    story.logs.extend(logs.entries.into_iter().skip(known));
                    self.ack(job, story).await;
                }
                Message::ApplyRequest(request) => {
                    story.asked = Some(request.daily_cost);
                    let (job_id, lease_id) = (job_id.clone(), lease_id.clone());
                    let verdict = self.verdict.into();
                    let (consumed, budget) = (9, 10);
                    let verdict = ApplyVerdict { job_id, lease_id, verdict, consumed, budget };
                    self.say(Say::ApplyVerdict(verdict)).await;
                }
                Message::Checkpoint(Checkpoint { state, .. }) => {
                    story.checkpoints.push(state.unwrap());
                    self.ack(job, story).await;
                }
                Message::Result(result) => {
                    assert_eq!(result.last_log_number, story.logs.len() as i64, "all lines come before the result");
                    story.result = Some(result);
                    let (job_id, lease_id) = (job_id.clone(), lease_id.clone());
                    self.say(Say::ResultStored(ResultStored { job_id, lease_id })).await;
                }
                other @ Message::Register(_) => panic!("unexpected: {other:?}"),
            }
        }
    }

    async fn ack(&self, job: &Assign, story: &Story) {
        self.say(Say::Ack(Ack {
            job_id: job.job_id.clone(),
            lease_id: job.lease_id.clone(),
            log_number: story.logs.len() as i64,
            state_serial: story.checkpoints.last().map_or(0, |s| s.serial),
            log_credit: 16 * 1024,
        }))
        .await;
    }

    /// Assigns the job and follows it to its end.
    pub(crate) async fn run(&mut self, job: &Assign) -> Story {
        let mut story = Story::default();
        self.say(Say::Assign(job.clone())).await;
        self.follow(job, &mut story, |_| false).await;
        story
    }
}

/// The names of what is left of jobs.
pub(crate) fn job_dirs(work: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(work.join("jobs")).unwrap().map(|e| e.unwrap().path()).collect()
}

/// Waits until it is so.
pub(crate) async fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + LIMIT;
    while !check() {
        assert!(tokio::time::Instant::now() < deadline, "in time: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

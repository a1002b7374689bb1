//! The stream over a real socket, against a real store.

mod coming_back;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use orgplane_proto::PROTOCOL_VERSION;
use orgplane_proto::provisioner::v1 as pb;
use orgplane_proto::provisioner::v1::daemon_message::Message as Daemon;
use orgplane_proto::provisioner::v1::provisioner_daemon_service_client::ProvisionerDaemonServiceClient;
use orgplane_proto::provisioner::v1::server_message::Message as Server;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::Channel;
use tonic::{Code, Request, Status, Streaming};

use crate::app;
use crate::dispatch::Dispatcher;
use crate::dispatch::news::News;
use crate::dispatch::sql::SqlQueue;
use crate::dispatch::testing::{self, ARCHIVE, Ground};
use crate::domain::error::Credential;
use crate::domain::id::{BuildId, JobId, ProvisionerKeyId, ProvisionerKeySecretId, TemplateVersionId};
use crate::domain::job::{Input, Status as JobStatus};
use crate::domain::provisioner_key::{KeyTags, ProvisionerKey};
use crate::domain::tags::Tags;
use crate::domain::{Error, Timestamp};
use crate::options::Provisioners;
use crate::service::Service;
use crate::service::daemon_session::Hello;
use crate::store::entity::{provisioner_job, provisioner_key, provisioner_key_secret};
use crate::store::testing::{TestStore, stores};
use crate::store::{self, Access as _, blob};

const DEADLINE: Duration = Duration::from_secs(10);

struct Bench {
    service: Arc<Service>,
    ground: Ground,
    url: String,
    key: String,
    key_id: ProvisionerKeyId,
    _store: Option<TestStore>,
    _stop: DropGuard,
}

async fn bench(adjust: impl FnOnce(&mut Provisioners)) -> Bench {
    let store = stores().await.remove(0);
    let mut options = Provisioners { heartbeat: Duration::from_millis(50), ..Provisioners::default() };
    adjust(&mut options);
    let ground = testing::ground(&store, "acme").await;
    let (key_id, key) = make_key(&store, &ground).await;
    let bench = serve(&store, options, ground, key_id, key).await;
    Bench { _store: Some(store), ..bench }
}

/// A server over a store.
async fn serve(
    store: &store::Store,
    options: Provisioners,
    ground: Ground,
    key_id: ProvisionerKeyId,
    key: String,
) -> Bench {
    let news = Arc::new(News::default());
    let queue = Arc::new(SqlQueue::new(store.clone(), (&options).into(), news.clone()));
    let dispatcher = Arc::new(Dispatcher::new(queue, &options));
    let service = Arc::new(Service::new(store.clone(), dispatcher, news, options));
    let stop = CancellationToken::new();
    app::start_work(&service, &stop);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = axum::serve(listener, crate::grpc::router(service.clone()))
        .with_graceful_shutdown(stop.clone().cancelled_owned());
    tokio::spawn(async move { serving.await });
    Bench { service, ground, url, key, key_id, _store: None, _stop: stop.drop_guard() }
}

async fn make_key(store: &store::Store, ground: &Ground) -> (ProvisionerKeyId, String) {
    let (id, key) = (ProvisionerKeyId::new(), ProvisionerKey::generate());
    let tx = store.begin().await.unwrap();
    let row = provisioner_key::Model {
        id,
        organization_id: ground.organization,
        name: id.to_string(),
        tags: KeyTags::default(),
        description: String::new(),
        last_used_at: None,
        created_at: Timestamp(0),
    };
    let secret = provisioner_key_secret::Model {
        id: ProvisionerKeySecretId::new(),
        key_id: id,
        secret_sha256: key.hash(),
        expires_at: None,
        revoked_at: None,
        created_at: Timestamp(0),
    };
    store::provisioner_key::insert(&tx, row, secret).await.unwrap();
    tx.commit().await.unwrap();
    (id, key.reveal().to_owned())
}

struct Session {
    sender: mpsc::Sender<pb::DaemonMessage>,
    messages: Streaming<pb::ServerMessage>,
}

impl Session {
    async fn send(&self, message: Daemon) {
        self.sender.send(pb::DaemonMessage { message: Some(message) }).await.unwrap();
    }

    /// The next message that isn't a heartbeat's.
    async fn next(&mut self) -> Result<Server, Status> {
        loop {
            let message = timeout(DEADLINE, self.messages.message()).await.expect("a message in time")?;
            match message.expect("the stream goes on").message.unwrap() {
                Server::HeartbeatAck(_) => {}
                message => return Ok(message),
            }
        }
    }

    /// Ends the daemon's side, and waits for the server's.
    async fn leave(mut self) {
        self.send(Daemon::Draining(pb::Draining {})).await;
        self.sender = mpsc::channel(1).0;
        self.end().await;
    }

    async fn end(&mut self) -> Status {
        loop {
            match self.next().await {
                Ok(_) => {}
                Err(status) => return status,
            }
        }
    }

    async fn assign(&mut self) -> pb::Assign {
        match self.next().await.unwrap() {
            Server::Assign(assign) => assign,
            other => panic!("{other:?}"),
        }
    }
}

impl Bench {
    /// Another server of the deployment.
    async fn another(&self) -> Self {
        let options = self.service.provisioners.clone();
        serve(&self.service.store, options, self.ground, self.key_id, self.key.clone()).await
    }

    /// The daemon's row: its work directory, and whether it left.
    async fn daemon(&self) -> (String, bool) {
        let sql = "SELECT instance_id, left_at IS NOT NULL FROM provisioner_daemon";
        let row = self.service.store.query_one(sql, []).await.unwrap().unwrap();
        (row.try_get_by_index(0).unwrap(), row.try_get_by_index(1).unwrap())
    }

    async fn client(&self) -> ProvisionerDaemonServiceClient<Channel> {
        let channel = Channel::from_shared(self.url.clone()).unwrap().connect().await.unwrap();
        ProvisionerDaemonServiceClient::new(channel)
    }

    fn with_key<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", format!("Bearer {}", self.key).parse().unwrap());
        request
    }

    async fn open(&self, first: Daemon) -> Result<Session, Status> {
        let (sender, receiver) = mpsc::channel(16);
        sender.send(pb::DaemonMessage { message: Some(first) }).await.unwrap();
        let request = self.with_key(ReceiverStream::new(receiver));
        let messages = self.client().await.connect(request).await?.into_inner();
        Ok(Session { sender, messages })
    }

    async fn session(&self, register: pb::Register) -> (Session, pb::Registered) {
        let mut session = self.open(Daemon::Register(register)).await.unwrap();
        match session.next().await.unwrap() {
            Server::Registered(registered) => (session, registered),
            other => panic!("{other:?}"),
        }
    }

    async fn job(&self) -> JobId {
        self.job_of(Input::Build(BuildId::new())).await
    }

    async fn job_of(&self, input: Input) -> JobId {
        let tags = Tags::of_key(&BTreeMap::new());
        let id = testing::insert(&self.service.store, &self.ground, input, tags).await;
        self.service.dispatcher.wake();
        id
    }

    async fn row(&self, id: JobId) -> provisioner_job::Model {
        store::provisioner_job::find(&self.service.store, id).await.unwrap().unwrap()
    }
}

fn register(name: &str) -> pb::Register {
    pb::Register {
        instance_id: format!("instance of {name}"),
        name: name.to_owned(),
        version: "1.2.3".to_owned(),
        protocol_version: PROTOCOL_VERSION.to_owned(),
        engines: vec![pb::Engine { name: "echo".to_owned(), version: String::new() }],
        capacity: 2,
        held: vec![],
        organization: String::new(),
    }
}

fn accepted(assign: &pb::Assign) -> Daemon {
    Daemon::Accepted(pb::Accepted { job_id: assign.job_id.clone(), lease_id: assign.lease_id.clone() })
}

fn logs(assign: &pb::Assign, first_number: i64, outputs: &[&str]) -> Daemon {
    let entry = |output: &&str| pb::LogEntry { output: (*output).to_owned(), ..Default::default() };
    Daemon::Logs(pb::Logs {
        job_id: assign.job_id.clone(),
        lease_id: assign.lease_id.clone(),
        first_number,
        entries: outputs.iter().map(entry).collect(),
        overflowed: false,
    })
}

fn result(assign: &pb::Assign, outcome: pb::Outcome, last_log_number: i64) -> pb::Result {
    pb::Result {
        job_id: assign.job_id.clone(),
        lease_id: assign.lease_id.clone(),
        outcome: outcome.into(),
        last_log_number,
        ..Default::default()
    }
}

#[tokio::test]
async fn a_build_from_claim_to_result() {
    let bench = bench(|_| {}).await;
    let (mut session, registered) = bench.session(register("one")).await;
    assert_eq!(registered.organization_id, bench.ground.organization.to_string());
    assert_eq!(registered.tags["scope"], "organization");
    let id = bench.job().await;
    let assign = session.assign().await;
    assert_eq!((assign.job_id.as_str(), assign.attempt, assign.next_log_number), (&*id.to_string(), 1, 1));
    assert_eq!(assign.metadata.as_ref().unwrap().owner_name, "acme-user");
    assert!(matches!(assign.job, Some(pb::assign::Job::WorkspaceBuild(_))));

    let mut client = bench.client().await;
    let request = pb::DownloadRequest {
        job_id: assign.job_id.clone(),
        lease_id: assign.lease_id.clone(),
        reference: assign.archive.clone(),
    };
    let mut pieces = client.download(bench.with_key(request.clone())).await.unwrap().into_inner();
    assert_eq!(pieces.message().await.unwrap().unwrap().data, ARCHIVE);
    assert!(pieces.message().await.unwrap().is_none());
    let foreign = pb::DownloadRequest { lease_id: "0".repeat(32), ..request };
    assert_eq!(client.download(bench.with_key(foreign)).await.unwrap_err().code(), Code::Aborted);

    session.send(accepted(&assign)).await;
    session.send(logs(&assign, 1, &["a", "b"])).await;
    assert!(matches!(session.next().await.unwrap(), Server::Ack(ack) if ack.log_number == 2));
    session.send(logs(&assign, 1, &["a", "b", "c"])).await;
    assert!(matches!(session.next().await.unwrap(), Server::Ack(ack) if ack.log_number == 3));
    let ask = pb::ApplyRequest { job_id: assign.job_id.clone(), lease_id: assign.lease_id.clone(), daily_cost: 7 };
    session.send(Daemon::ApplyRequest(ask)).await;
    let verdict = session.next().await.unwrap();
    assert!(matches!(&verdict, Server::ApplyVerdict(v) if v.verdict() == pb::Verdict::Go), "{verdict:?}");
    assert!(bench.row(id).await.apply_permitted_at.is_some());

    let reference = pb::Reference { sha256: blob::sha256(b"state"), size: 5 };
    let header = pb::UploadHeader {
        job_id: assign.job_id.clone(),
        lease_id: assign.lease_id.clone(),
        kind: pb::UploadKind::State.into(),
        reference: Some(reference.clone()),
    };
    let upload = |data: &[u8]| {
        let messages = vec![
            pb::UploadRequest { message: Some(pb::upload_request::Message::Header(header.clone())) },
            pb::UploadRequest { message: Some(pb::upload_request::Message::Data(data.to_vec())) },
        ];
        bench.with_key(tokio_stream::iter(messages))
    };
    assert_eq!(client.upload(upload(b"stale")).await.unwrap_err().code(), Code::InvalidArgument);
    client.upload(upload(b"state")).await.unwrap();
    let state = pb::StateReference { lineage: "l".into(), serial: 3, reference: Some(reference) };
    session
        .send(Daemon::Checkpoint(pb::Checkpoint {
            job_id: assign.job_id.clone(),
            lease_id: assign.lease_id.clone(),
            state: Some(state.clone()),
        }))
        .await;
    assert!(matches!(session.next().await.unwrap(), Server::Ack(ack) if ack.state_serial == 3));

    let resource = pb::Resource { r#type: "terraform_data".into(), name: "x".into(), ..Default::default() };
    let built = pb::BuildResult { resources: vec![resource], modules: vec![] };
    let done = pb::Result {
        state: Some(state),
        payload: Some(pb::result::Payload::WorkspaceBuild(built)),
        ..result(&assign, pb::Outcome::Succeeded, 3)
    };
    for _ in 0..2 {
        session.send(Daemon::Result(done.clone())).await;
        assert!(
            matches!(session.next().await.unwrap(), Server::ResultStored(stored) if stored.job_id == assign.job_id)
        );
    }
    let row = bench.row(id).await;
    assert_eq!(row.status, JobStatus::Succeeded);
    assert!(row.completed_at.is_some() && row.worker_name == "one");
    let count = |sql: &'static str| {
        let store = &bench.service.store;
        async move { store.query_one(sql, []).await.unwrap().unwrap().try_get_by_index::<i64>(0).unwrap() }
    };
    assert_eq!(count("SELECT COUNT(*) FROM job_resource").await, 1);
    assert_eq!(count("SELECT COUNT(*) FROM workspace WHERE deleted").await, 1, "the build deletes its workspace");
    assert_eq!(count("SELECT COUNT(*) FROM workspace_build WHERE state_serial = 3 AND daily_cost = 7").await, 1);
}

#[tokio::test]
async fn an_import_stores_what_it_discovers() {
    let bench = bench(|_| {}).await;
    let (mut session, _) = bench.session(register("one")).await;
    let version = TemplateVersionId::new();
    let id = bench.job_of(Input::Import(version)).await;
    let assign = session.assign().await;
    let given: Vec<_> = assign.variables.iter().map(|v| (v.name.as_str(), v.value.as_str(), v.sensitive)).collect();
    assert_eq!(given, [("region", "eu", true)]);
    let variable = |name: &str| pb::TemplateVariable {
        name: name.to_owned(),
        default_value: "default".into(),
        ..Default::default()
    };
    session
        .send(Daemon::Discovered(pb::Discovered {
            job_id: assign.job_id.clone(),
            lease_id: assign.lease_id.clone(),
            readme: "# Hello".into(),
            variables: vec![variable("region"), variable("size")],
            ..Default::default()
        }))
        .await;
    session.send(Daemon::Result(result(&assign, pb::Outcome::Succeeded, 0))).await;
    assert!(matches!(session.next().await.unwrap(), Server::ResultStored(_)));
    assert_eq!(bench.row(id).await.status, JobStatus::Succeeded);
    let store = &bench.service.store;
    let stored = store::template_version::find(store, version).await.unwrap().unwrap();
    assert_eq!(stored.readme, "# Hello");
    let variables = store::template_version::variables(store, version).await.unwrap();
    let values: Vec<_> = variables.iter().map(|v| store.sealer().open(&v.value).unwrap()).collect();
    assert_eq!(values, [b"eu".to_vec(), b"default".to_vec()]);
}

#[tokio::test]
async fn faults_end_the_stream_and_write_nothing() {
    let bench = bench(|_| {}).await;
    let heartbeat = Daemon::Heartbeat(pb::Heartbeat::default());
    let refused = bench.open(heartbeat).await.err().unwrap();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("first message"), "{refused}");
    for (bad, says) in [
        (pb::Register { protocol_version: "9.0".into(), ..register("x") }, "protocol 9.0"),
        (pb::Register { engines: vec![], ..register("x") }, "engines"),
        (pb::Register { capacity: 0, ..register("x") }, "capacity"),
        (pb::Register { name: String::new(), ..register("x") }, "name"),
        (pb::Register { organization: "other".into(), ..register("x") }, "isn't of organization"),
    ] {
        let refused = bench.open(Daemon::Register(bad)).await.err().unwrap();
        assert!(refused.message().contains(says), "{refused}");
    }
    let daemons = bench.service.store.query_one("SELECT COUNT(*) FROM provisioner_daemon", []).await.unwrap().unwrap();
    assert_eq!(daemons.try_get_by_index::<i64>(0).unwrap(), 0);

    let (mut session, _) = bench.session(register("one")).await;
    session.send(Daemon::Register(register("one"))).await;
    assert!(session.end().await.message().contains("only once"));

    let (mut session, _) = bench.session(register("one")).await;
    let nul = pb::Assign { job_id: JobId::new().to_string(), lease_id: "\0".repeat(32), ..Default::default() };
    session.send(Daemon::Result(result(&nul, pb::Outcome::Succeeded, 0))).await;
    assert!(session.end().await.message().contains("lease_id"));

    let (mut session, _) = bench.session(register("one")).await;
    let foreign = pb::Assign { job_id: JobId::new().to_string(), lease_id: "f".repeat(32), ..Default::default() };
    session.send(logs(&foreign, 1, &["x"])).await;
    assert!(session.end().await.message().contains("isn't this daemon's"));

    let (mut session, _) = bench.session(register("one")).await;
    session.send(Daemon::Result(result(&foreign, pb::Outcome::Succeeded, 0))).await;
    assert!(session.end().await.message().contains("isn't this daemon's"));

    let (mut session, _) = bench.session(register("one")).await;
    let id = bench.job().await;
    let assign = session.assign().await;
    session.send(logs(&assign, 5, &["x"])).await;
    assert!(session.end().await.message().contains("expected line 1, got 5"));
    assert!(store::job_log::after(&bench.service.store, id, 0).await.unwrap().is_empty());
}

#[tokio::test]
async fn no_message_holds_more_than_it_may() {
    let bench = bench(|_| {}).await;
    let id = bench.job_of(Input::Import(TemplateVersionId::new())).await;
    let (mut session, _) = bench.session(register("one")).await;
    let assign = session.assign().await;
    let variables = vec![pb::TemplateVariable::default(); 1001];
    let (job_id, lease_id) = (assign.job_id.clone(), assign.lease_id.clone());
    let discovered = pb::Discovered { job_id, lease_id, variables, ..Default::default() };
    let metadata = vec![pb::ResourceMetadata::default(); 4999];
    let start_resources = vec![pb::Resource { metadata, ..Default::default() }, pb::Resource::default()];
    let import = pb::ImportResult { start_resources, ..Default::default() };
    let payload = Some(pb::result::Payload::TemplateImport(import));
    for (message, says) in [
        (logs(&assign, 1, &[""; 10_001]), "entries: must be at most 10000"),
        (Daemon::Discovered(discovered), "variables: must be at most 1000"),
        (
            Daemon::Result(pb::Result { payload, ..result(&assign, pb::Outcome::Succeeded, 0) }),
            "resources and their metadata: must be at most 5000",
        ),
    ] {
        let held =
            pb::HeldJob { job_id: assign.job_id.clone(), lease_id: assign.lease_id.clone(), ..Default::default() };
        let (mut session, _) = bench.session(pb::Register { held: vec![held], ..register("one") }).await;
        session.send(message).await;
        let end = session.end().await;
        assert!(end.message().contains(says), "{end}");
    }
    assert_eq!(bench.row(id).await.status, JobStatus::Running);
    assert!(store::job_log::after(&bench.service.store, id, 0).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_daemon_whose_engines_are_broken_gets_nothing() {
    let bench = bench(|_| {}).await;
    let (mut broken, _) = bench.session(pb::Register { capacity: 1, ..register("broken") }).await;
    bench.job().await;
    let assign = broken.assign().await;
    let waiting = bench.job().await;
    let heartbeat = |engines_healthy, free_slots| {
        Daemon::Heartbeat(pb::Heartbeat { engines_healthy, free_slots, ..Default::default() })
    };
    broken.send(heartbeat(false, 0)).await;
    broken.send(Daemon::Result(result(&assign, pb::Outcome::Failed, 0))).await;
    assert!(matches!(broken.next().await.unwrap(), Server::ResultStored(_)));
    let (mut other, _) = bench.session(register("other")).await;
    assert_eq!(other.assign().await.job_id, waiting.to_string(), "not even when the job that it had ends");
    other.send(Daemon::Draining(pb::Draining {})).await;
    let next = bench.job().await;
    broken.send(heartbeat(false, 1)).await;
    broken.send(heartbeat(true, 1)).await;
    assert_eq!(broken.assign().await.job_id, next.to_string(), "it works again");
}

#[tokio::test]
async fn a_stale_lease_is_told_so() {
    let bench = bench(|_| {}).await;
    let (mut session, _) = bench.session(register("one")).await;
    let id = bench.job().await;
    let assign = session.assign().await;
    let stale = pb::Assign { lease_id: "0".repeat(32), ..assign.clone() };
    session.send(logs(&stale, 1, &["x"])).await;
    assert!(matches!(session.next().await.unwrap(), Server::LeaseLost(lost) if lost.lease_id == stale.lease_id));
    session.send(Daemon::Result(result(&stale, pb::Outcome::Failed, 0))).await;
    assert!(matches!(session.next().await.unwrap(), Server::LeaseLost(_)));
    assert_eq!(bench.row(id).await.status, JobStatus::Running);
}

#[tokio::test]
async fn a_canceled_job_is_told_in_under_a_second() {
    let bench = bench(|_| {}).await;
    let (mut session, _) = bench.session(register("one")).await;
    let id = bench.job().await;
    let assign = session.assign().await;
    let asked = Instant::now();
    bench.service.job_stop(id, None).await.unwrap();
    assert!(matches!(session.next().await.unwrap(), Server::Cancel(cancel) if cancel.lease_id == assign.lease_id));
    assert!(asked.elapsed() < Duration::from_secs(1));
    session.send(Daemon::Result(result(&assign, pb::Outcome::Canceled, 0))).await;
    assert!(matches!(session.next().await.unwrap(), Server::ResultStored(_)));
    assert_eq!(bench.row(id).await.status, JobStatus::Canceled);
}

#[tokio::test]
async fn a_revoked_key_ends_its_sessions_in_under_a_second() {
    let bench = bench(|options| options.heartbeat = Duration::from_secs(60)).await;
    let (mut session, _) = bench.session(register("one")).await;
    let revoked = Instant::now();
    bench.service.dispatcher.key_revoked(bench.key_id);
    assert!(
        matches!(session.next().await.unwrap(), Server::GoAway(away) if away.reason() == pb::GoAwayReason::KeyRevoked)
    );
    assert_eq!(session.end().await.code(), Code::Unauthenticated);
    assert!(revoked.elapsed() < Duration::from_secs(1));

    // Revoked behind this server's back, it is found soon.
    let (mut session, _) = bench.session(register("one")).await;
    let revoked = Instant::now();
    let tx = bench.service.store.begin().await.unwrap();
    tx.execute("UPDATE provisioner_key_secret SET revoked_at = 1", []).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(session.end().await.code(), Code::Unauthenticated);
    assert!(revoked.elapsed() < Duration::from_secs(3), "long before the next heartbeat");
    let refused = bench.open(Daemon::Register(register("one"))).await.err().unwrap();
    assert_eq!(refused.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_key_that_ends_while_its_daemon_registers_opens_no_session() {
    let bench = bench(|_| {}).await;
    let key = bench.service.provisioner_key_authenticate(&bench.key).await.unwrap();
    let hello = || Hello {
        instance: "instance".into(),
        name: "one".into(),
        version: "1".into(),
        protocol_version: PROTOCOL_VERSION.into(),
        engines: vec!["echo".into()],
        capacity: 1,
        ..Hello::default()
    };
    for (end, expected) in [
        ("UPDATE provisioner_key_secret SET revoked_at = 1", Credential::KeyRevoked),
        ("DELETE FROM provisioner_key", Credential::KeyUnknown),
    ] {
        let tx = bench.service.store.begin().await.unwrap();
        tx.execute(end, []).await.unwrap();
        tx.commit().await.unwrap();
        let refused = bench.service.daemon_connect(&key, hello()).await;
        assert!(matches!(refused, Err(Error::Unauthenticated(credential)) if credential == expected), "{end}");
        assert!(bench.service.dispatcher.secrets().is_empty(), "no session is left behind");
    }
}

#[tokio::test]
async fn a_silent_daemon_loses_its_job_to_another() {
    let bench = bench(|options| {
        options.lease = Duration::from_millis(300);
        options.reap_interval = Duration::from_millis(50);
        options.contact_lost_after = Duration::from_millis(200);
    })
    .await;
    let (mut silent, _) = bench.session(register("silent")).await;
    let id = bench.job().await;
    let lost = silent.assign().await;
    let (mut other, _) = bench.session(register("other")).await;
    let deadline = Instant::now() + DEADLINE;
    let assign = loop {
        assert!(Instant::now() < deadline, "the job comes");
        other
            .send(Daemon::Heartbeat(pb::Heartbeat { free_slots: 1, engines_healthy: true, ..Default::default() }))
            .await;
        if let Ok(Ok(Some(message))) = timeout(Duration::from_millis(50), other.messages.message()).await
            && let Some(Server::Assign(assign)) = message.message
        {
            break assign;
        }
    };
    assert_eq!((assign.job_id.as_str(), assign.attempt), (&*id.to_string(), 2));
    assert_eq!(assign.next_log_number, 2, "the server noted the loss");
    silent.send(Daemon::Result(result(&lost, pb::Outcome::Succeeded, 0))).await;
    assert!(matches!(silent.next().await.unwrap(), Server::LeaseLost(_)));
    assert_eq!(bench.row(id).await.status, JobStatus::Running);
}

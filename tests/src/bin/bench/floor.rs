//! The bare parts: a gRPC stream of the same messages without keys, leases or storage; a commit; a commit that notifies.

use std::pin::Pin;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use orgplane_proto::provisioner::v1::provisioner_daemon_service_client::ProvisionerDaemonServiceClient;
use orgplane_proto::provisioner::v1::provisioner_daemon_service_server::{
    ProvisionerDaemonService, ProvisionerDaemonServiceServer,
};
use orgplane_proto::provisioner::v1::{
    DaemonMessage, DownloadRequest, DownloadResponse, Heartbeat, HeartbeatAck, ListProvisionerDaemonsRequest,
    ListProvisionerDaemonsResponse, ServerMessage, UploadRequest, UploadResponse, daemon_message, server_message,
};
use orgplane_tests::Databases;
use sea_orm::sqlx::{self, Executor as _};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_stream::{Stream, StreamExt as _};
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming};

use super::target::Database;

/// The hidden argument with which the program is the bare server.
pub(crate) const CHILD: &str = "--floor-server";

struct Bare;

type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl ProvisionerDaemonService for Bare {
    type ConnectStream = Messages<ServerMessage>;
    type DownloadStream = Messages<DownloadResponse>;

    async fn connect(
        &self,
        request: Request<Streaming<DaemonMessage>>,
    ) -> Result<Response<Self::ConnectStream>, Status> {
        let replies = request.into_inner().map(|message| {
            message.map(|_| ServerMessage { message: Some(server_message::Message::HeartbeatAck(HeartbeatAck {})) })
        });
        Ok(Response::new(Box::pin(replies)))
    }

    async fn list_provisioner_daemons(
        &self,
        _: Request<ListProvisionerDaemonsRequest>,
    ) -> Result<Response<ListProvisionerDaemonsResponse>, Status> {
        Err(Status::unimplemented("a floor"))
    }

    async fn download(&self, _: Request<DownloadRequest>) -> Result<Response<Self::DownloadStream>, Status> {
        Err(Status::unimplemented("a floor"))
    }

    async fn upload(&self, _: Request<Streaming<UploadRequest>>) -> Result<Response<UploadResponse>, Status> {
        Err(Status::unimplemented("a floor"))
    }
}

/// Serves the bare stream on a free port, which it prints, until it is killed.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    tonic::transport::Server::builder()
        .tcp_nodelay(true)
        .add_service(ProvisionerDaemonServiceServer::new(Bare))
        .serve_with_incoming(TcpListenerStream::new(listener))
        .await?;
    Ok(())
}

/// The bare server as a process.
pub(crate) struct BareServer {
    child: tokio::process::Child,
    pub(crate) url: String,
}

impl BareServer {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let mut child = tokio::process::Command::new(std::env::current_exe()?)
            .arg(CHILD)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().context("the floor's output")?;
        let url = BufReader::new(stdout).lines().next_line().await?.context("the floor ended")?;
        Ok(Self { child, url })
    }

    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        self.child.id().context("the floor ended")
    }
}

/// One bare stream, open.
pub(crate) struct BareStream {
    pub(crate) send: mpsc::Sender<DaemonMessage>,
    pub(crate) receive: Streaming<ServerMessage>,
}

impl BareStream {
    pub(crate) async fn open(channel: Channel) -> anyhow::Result<Self> {
        let (send, outgoing) = mpsc::channel(64);
        send.send(heartbeat()).await?;
        let mut client = ProvisionerDaemonServiceClient::new(channel);
        let mut receive = client.connect(ReceiverStream::new(outgoing)).await?.into_inner();
        receive.message().await?.context("the floor ended")?;
        Ok(Self { send, receive })
    }

    /// Sends messages and waits for all answers; their number.
    pub(crate) async fn pings(&mut self, count: u32) -> anyhow::Result<u32> {
        for _ in 0..count {
            self.send.send(heartbeat()).await?;
        }
        for _ in 0..count {
            self.receive.message().await?.context("the floor ended")?;
        }
        Ok(count)
    }
}

fn heartbeat() -> DaemonMessage {
    let heartbeat = Heartbeat { free_slots: 1, load: 0.0, engines_healthy: true, disk_free: 1 << 30 };
    DaemonMessage { message: Some(daemon_message::Message::Heartbeat(heartbeat)) }
}

/// Half a round trip on one bare stream: the median.
pub(crate) async fn half_round_trip() -> anyhow::Result<Duration> {
    let server = BareServer::start().await?;
    let channel = Channel::from_shared(server.url.clone())?.tcp_nodelay(true).connect().await?;
    let mut stream = BareStream::open(channel).await?;
    let mut samples = Vec::new();
    for _ in 0..500 {
        let start = Instant::now();
        stream.pings(1).await?;
        samples.push(start.elapsed());
    }
    samples.sort_unstable();
    Ok(samples[samples.len() / 2] / 2)
}

/// What a job costs at the least, `count` times, `pause` apart: one durable insert, and where the database can wake
/// others, the notification's way to a listener.
pub(crate) async fn commits(database: &Database, count: u32, pause: Duration) -> anyhow::Result<Vec<Duration>> {
    match database.0 {
        Databases::Sqlite => sqlite_commits(count, pause).await,
        Databases::Postgres => {
            let database = orgplane_tests::Database::postgres().await;
            postgres_commits(database.url(), count, pause).await
        }
    }
}

const TABLE: &str = "CREATE TABLE floor (id bigint PRIMARY KEY, body text NOT NULL)";

async fn sqlite_commits(count: u32, pause: Duration) -> anyhow::Result<Vec<Duration>> {
    use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
    let folder = tempfile::tempdir()?;
    let options = SqliteConnectOptions::new()
        .filename(folder.path().join("floor.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
    pool.execute(TABLE).await?;
    let mut samples = Vec::new();
    let mut timer = tokio::time::interval(pause);
    for id in 0..i64::from(count) {
        timer.tick().await;
        let start = Instant::now();
        sqlx::query("INSERT INTO floor VALUES ($1, $2)").bind(id).bind("job").execute(&pool).await?;
        samples.push(start.elapsed());
    }
    Ok(samples)
}

async fn postgres_commits(url: &str, count: u32, pause: Duration) -> anyhow::Result<Vec<Duration>> {
    let pool = sqlx::postgres::PgPoolOptions::new().max_connections(2).connect(url).await?;
    pool.execute(TABLE).await?;
    let mut listener = sqlx::postgres::PgListener::connect(url).await?;
    listener.listen("floor").await?;
    let mut samples = Vec::new();
    let mut timer = tokio::time::interval(pause);
    for id in 0..i64::from(count) {
        timer.tick().await;
        let start = Instant::now();
        let mut tx = pool.begin().await?;
        sqlx::query("INSERT INTO floor VALUES ($1, $2)").bind(id).bind("job").execute(&mut *tx).await?;
        sqlx::query("SELECT pg_notify('floor', $1)").bind(id.to_string()).execute(&mut *tx).await?;
        tx.commit().await?;
        listener.recv().await?;
        samples.push(start.elapsed());
    }
    pool.close().await;
    Ok(samples)
}

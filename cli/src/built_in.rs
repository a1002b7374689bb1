//! Built-in daemons: `provisioner start` as child processes of the server, for the default organization.
//!
//! Each run of one has a key of its own, which it gets as the first line of its stdin and which ends with it. It goes on
//! until its stdin ends, so it ends in order when the server wants it to, and no less when the server is killed. (A
//! parent-death signal is tied to the thread that started the child, and threads end earlier.)

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::Router;
use nix::sys::signal::{Signal as Sent, kill};
use nix::unistd::Pid;
use orgplane_daemon::{EngineKind, privacy};
use orgplane_server::Server;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::args::{self, Engine, LogFormat, Memory};
use crate::error::Usage;
use crate::forwarded::TrustedProxies;
use crate::listener::{Connections, Routers};
use crate::signals::{Signal, Stop};

const BACKOFF_MIN: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// A daemon that lived so long didn't fail at its start.
const STEADY: Duration = Duration::from_secs(60);
const KEY_RENEWAL: Duration = Duration::from_secs(60 * 60);
/// How long interrupted daemons may take: they give an apply five minutes, and then hand in what it left.
const INTERRUPTED: Duration = Duration::from_secs(6 * 60);
/// For the calls that are under way when all daemons have ended.
const LAST_CALLS: Duration = Duration::from_secs(2);
/// What a daemon gets of the server's environment, which may hold passwords, beyond what templates get of a daemon's: what
/// is logged.
const LOGGING: [&str; 2] = ["ORGPLANE_LOG", "RUST_LOG"];

/// How built-in daemons are to be.
#[derive(Debug)]
pub(crate) struct Settings {
    count: u32,
    engines: Vec<Engine>,
    memory: Memory,
    /// To which a number is added.
    name: String,
    /// Holds a work directory for each, and the cache that they share.
    dir: PathBuf,
    terraform_path: Option<PathBuf>,
    log_format: LogFormat,
    /// How long their jobs may take to end when the server is to end.
    drain: Duration,
}

impl Settings {
    /// Checks what was asked for.
    pub(crate) fn new(args: &args::BuiltIn, log: &args::Log, data_dir: &Path) -> Result<Self> {
        let name = args.provisioner_name.clone().unwrap_or_else(|| {
            // Room for the number.
            orgplane_daemon::default_name().chars().take(60).collect()
        });
        let highest = format!("{name}-{}", args.provisioner_daemons.saturating_sub(1));
        orgplane_daemon::check_name(&highest).map_err(|error| Usage::new(format!("--provisioner-{error}")))?;
        let terraform_path = args.terraform_path.clone().filter(|path| !path.as_os_str().is_empty());
        Ok(Self {
            count: args.provisioner_daemons,
            engines: args.provisioner_types.clone(),
            name,
            dir: data_dir.join("provisioners"),
            memory: args.engine_memory_limit,
            terraform_path,
            log_format: log.log_format,
            drain: args.provisioner_drain,
        })
    }
}

/// The built-in daemons of a server.
#[derive(Debug)]
pub(crate) struct BuiltIn {
    task: JoinHandle<()>,
    told: Told,
    drain: Duration,
}

/// What they are told, each once and in this order.
#[derive(Debug, Clone, Default)]
struct Told {
    drain: CancellationToken,
    interrupt: CancellationToken,
    kill: CancellationToken,
}

impl BuiltIn {
    /// Starts them in the background; `access_url` is where templates reach the server. What prevents that is said in the log, and the server goes on without them.
    pub(crate) fn start(server: Arc<Server>, settings: Settings, access_url: String) -> Self {
        let (told, drain) = (Told::default(), settings.drain);
        let task = tokio::spawn(run(server, settings, access_url, told.clone()));
        Self { task, told, drain }
    }

    /// Ends them. A terminating signal leaves their jobs some time; another one, or an interrupt, takes it from them.
    pub(crate) async fn end(mut self, first: Signal, stop: &mut Stop) {
        self.told.drain.cancel();
        let ended = first == Signal::Terminate && self.ended_within(self.drain, stop).await;
        if !ended {
            self.told.interrupt.cancel();
            if !self.ended_within(INTERRUPTED, stop).await {
                self.told.kill.cancel();
                let _ = (&mut self.task).await;
            }
        }
    }

    async fn ended_within(&mut self, patience: Duration, stop: &mut Stop) -> bool {
        tokio::select! {
            // Whether it panicked is in the log.
            _ = &mut self.task => true,
            () = sleep(patience) => false,
            _ = stop.received() => false,
        }
    }
}

async fn run(server: Arc<Server>, settings: Settings, access_url: String, told: Told) {
    if settings.count == 0 {
        return;
    }
    if settings.engines.contains(&Engine::Terraform) {
        let terraform = settings.terraform_path.as_deref();
        if let Err(error) = orgplane_daemon::find_terraform(terraform).await {
            tracing::warn!(
                "no built-in provisioner daemons run: {error}; then start the server again, or run `orgplane provisioner \
                 start` on another machine (--provisioner-daemons 0 silences this)"
            );
            return;
        }
    }
    // What they run has this process's user id, and nothing to look for in its memory and environment.
    if let Err(error) = privacy::forbid_inspection() {
        tracing::warn!(%error, "templates of built-in daemons can inspect the server");
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let (listener, address) = match listener.and_then(|listener| listener.local_addr().map(|at| (listener, at))) {
        Ok(listening) => listening,
        Err(error) => {
            tracing::error!(%error, "no built-in provisioner daemons run: can't listen on 127.0.0.1");
            return;
        }
    };
    let closed = CancellationToken::new();
    let served = tokio::spawn(serve(listener, server.daemon_router(), closed.clone()));
    tracing::info!(count = settings.count, "starting built-in provisioner daemons");
    let supervisor = Arc::new(Supervisor { server, address, access_url, settings, told });
    let mut daemons = JoinSet::new();
    for index in 0..supervisor.settings.count {
        daemons.spawn(supervisor.clone().keep(index));
    }
    daemons.join_all().await;
    closed.cancel();
    let _ = served.await;
}

/// A way to the server for its own daemons only: without TLS, whatever others need, and not before others may come.
async fn serve(listener: TcpListener, daemons: Router, closed: CancellationToken) {
    let connections = Connections::default();
    let routers = Routers { grpc: daemons, http: Router::new(), trusted: TrustedProxies::default() };
    connections.accept(listener, None, routers, &closed).await;
    connections.drain(LAST_CALLS).await;
}

#[derive(Debug)]
struct Supervisor {
    server: Arc<Server>,
    /// Where the daemons reach it.
    address: SocketAddr,
    /// Where templates do.
    access_url: String,
    settings: Settings,
    told: Told,
}

impl Supervisor {
    fn name(&self, index: u32) -> String {
        format!("{}-{index}", self.settings.name)
    }

    /// Runs a daemon again and again until it is to end.
    async fn keep(self: Arc<Self>, index: u32) {
        let (mut restarts, mut limit) = (0_u64, BACKOFF_MIN);
        loop {
            let started = Instant::now();
            let ended = self.run_once(index).await;
            if self.told.drain.is_cancelled() {
                return;
            }
            restarts += 1;
            if started.elapsed() > STEADY {
                limit = BACKOFF_MIN;
            }
            let wait = limit.mul_f64(rand::random_range(0.5..=1.0));
            limit = (limit * 2).min(BACKOFF_MAX);
            let daemon = self.name(index);
            match ended {
                Ok(status) => {
                    tracing::warn!(daemon, %status, restarts, ?wait, "a built-in daemon ended; it is started again");
                }
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::warn!(daemon, error, restarts, ?wait, "can't start a built-in daemon; trying again");
                }
            }
            tokio::select! {
                () = sleep(wait) => {}
                () = self.told.drain.cancelled() => return,
            }
        }
    }

    /// One run of a daemon, with a key that lives as long.
    async fn run_once(&self, index: u32) -> Result<ExitStatus> {
        let service = self.server.service();
        let key = service.built_in_key_create().await?;
        let ended = self.child(index, &key).await;
        if let Err(error) = service.built_in_key_delete(key.secret).await {
            tracing::warn!(%error, "can't delete the key of a built-in daemon that ended; it expires within a day");
        }
        ended
    }

    async fn child(&self, index: u32, key: &orgplane_server::BuiltInKey) -> Result<ExitStatus> {
        let mut child = self.command(index)?.spawn().context("can't start this program")?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        let mut stdin = child.stdin.take();
        if let Some(pipe) = &mut stdin {
            // One that can't take it ends by itself.
            let _ = pipe.write_all(key.key.reveal().as_bytes()).await;
            let _ = pipe.write_all(b"\n").await;
        }
        let mut renewals = tokio::time::interval_at(Instant::now() + KEY_RENEWAL, KEY_RENEWAL);
        let mut draining = false;
        loop {
            tokio::select! {
                status = child.wait() => return status.context("can't wait for a child process"),
                _ = renewals.tick() => {
                    if let Err(error) = self.server.service().built_in_key_renew(key.secret).await {
                        tracing::warn!(%error, "can't renew the key of a built-in daemon");
                    }
                }
                () = self.told.drain.cancelled(), if !draining => {
                    draining = true;
                    let _ = pid.map(|pid| kill(pid, Sent::SIGTERM));
                }
                () = self.told.interrupt.cancelled(), if stdin.is_some() => stdin = None,
                () = self.told.kill.cancelled() => return child.kill().await.map(|()| ExitStatus::default())
                    .context("can't end a child process"),
            }
        }
    }

    fn command(&self, index: u32) -> Result<Command> {
        let settings = &self.settings;
        let mut command = Command::new(std::env::current_exe().context("can't find this program's file")?);
        command.args(["provisioner", "start", "--supervised", "--url", &format!("http://{}", self.address)]);
        command.args(["--access-url", &self.access_url, "--name", &self.name(index)]);
        command.arg("--work-dir").arg(settings.dir.join(index.to_string()));
        command.arg("--cache-dir").arg(settings.dir.join("cache"));
        for engine in &settings.engines {
            command.args(["--engine", EngineKind::from(*engine).name()]);
        }
        command.args(["--engine-memory-limit", &settings.memory.to_string()]);
        if let Some(path) = &settings.terraform_path {
            command.arg("--terraform-path").arg(path);
        }
        command.args(["--log-format", settings.log_format.name()]);
        command.env_clear().envs(environment());
        // In a group of its own: what a terminal sends to all is the server's to pass on.
        command.stdin(Stdio::piped()).stdout(Stdio::null()).process_group(0).kill_on_drop(true);
        Ok(command)
    }
}

fn environment() -> Vec<(OsString, OsString)> {
    let known = || orgplane_daemon::ENVIRONMENT.iter().chain(&LOGGING);
    let mut kept: Vec<_> = std::env::vars_os().filter(|(name, _)| known().any(|known| name == known)).collect();
    // The way to the server is never by a proxy.
    let mut direct = std::env::var("NO_PROXY").or_else(|_| std::env::var("no_proxy")).unwrap_or_default();
    direct.push_str(if direct.is_empty() { "127.0.0.1" } else { ",127.0.0.1" });
    kept.extend(["NO_PROXY", "no_proxy"].map(|name| (name.into(), direct.clone().into())));
    kept
}

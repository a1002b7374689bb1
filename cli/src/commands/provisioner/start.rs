//! `orgplane provisioner start`.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use axum::Router;
use axum::routing::get;
use http::StatusCode;
use orgplane_daemon::privacy::{self, Traces};
use orgplane_daemon::{Config, EngineKind, Secret, Stop, Vitals};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio_util::sync::DropGuard;

use crate::args::Start;
use crate::error::Usage;
use crate::signals::Signal;
use crate::{client, environment, monitor, signals};

pub(crate) async fn run(args: Start) -> Result<()> {
    let url = args.url.clone().or_else(|| environment::first(environment::URL));
    let url = url.ok_or_else(|| Usage::new("name the server with --url or ORGPLANE_URL"))?;
    let server = client::options(&url, args.insecure_plaintext, &args.route)?;
    let key = key(&args)?;

    let mut config = Config::new(url, key)?;
    config.server = server;
    if let Some(name) = args.name.or_else(|| environment::first(environment::DAEMON_NAME)) {
        config.name = name;
    }
    config.access_url = args.access_url;
    config.organization = args.organization.or_else(|| environment::first(environment::ORGANIZATION));
    config.capacity = args.capacity;
    config.engines = args.engines.into_iter().map(EngineKind::from).collect::<BTreeSet<_>>();
    config.terraform_path = args.terraform_path;
    if let Some(users) = &args.engine_user {
        config.engine_users = orgplane_daemon::EngineUser::parse(users)?;
    }
    config.engine_env = args.engine_env;
    config.engine_memory = args.engine_memory_limit.0;
    config.intervals.drain = args.drain_timeout;
    (config.run_once, config.idle_exit) = (args.run_once, args.idle_exit);
    if let Some(dir) = args.cache_dir {
        config.cache_dir = absolute(dir)?;
    }
    if let Some(dir) = args.work_dir {
        config.work_dir = absolute(dir)?;
    }
    config.validate().map_err(|error| Usage::new(format!("--{error}")))?;
    let _monitor = match args.health_address {
        Some(address) => Some(monitor(address, &config.vitals).await?),
        None => None,
    };
    let stop = stop()?;
    if args.supervised {
        end_with_stdin(stop.clone())?;
    }
    Ok(orgplane_daemon::run(config, stop).await?)
}

fn absolute(path: PathBuf) -> Result<PathBuf> {
    std::path::absolute(&path).with_context(|| format!("not a path: {}", path.display()))
}

/// The provisioner key, in no place where a template's commands could read it: a key from the command line or the
/// environment makes this process start itself again without it.
fn key(args: &Start) -> Result<Secret> {
    if args.supervised {
        let key = privacy::read_key(std::io::stdin().lock()).context("can't read the key from stdin")?;
        forbid_inspection();
        return Ok(key);
    }
    if let Some(descriptor) = args.key_fd {
        let key = privacy::take_key(descriptor).context("--key-fd: can't read the key")?;
        forbid_inspection();
        return Ok(key);
    }
    let variable = environment::first(environment::DAEMON_KEY);
    let key = match (&args.key, &args.key_file) {
        (Some(key), _) => {
            tracing::warn!(
                "other users of this machine could read the key on the command line; use --key-file or the environment"
            );
            Secret::new(key)
        }
        (None, Some(file)) => read_key(file)?,
        (None, None) => match (&variable, environment::first(environment::DAEMON_KEY_FILE)) {
            (Some(key), _) => Secret::new(key),
            (None, Some(file)) => read_key(Path::new(&file))?,
            (None, None) => {
                return Err(Usage::new(
                    "give the provisioner key with --key-file or ORGPLANE_PROVISIONER_DAEMON_KEY; \
                     `orgplane provisioner keys create` makes one",
                )
                .into());
            }
        },
    };
    if args.key.is_some() || variable.is_some() {
        let variables = [environment::DAEMON_KEY, environment::DAEMON_KEY_FILE].concat();
        let traces = Traces { options: &["--key", "--key-file"], variables: &variables, descriptor_option: "--key-fd" };
        let never = privacy::restart_without_key(&key, traces);
        never.context("can't hide the provisioner key from templates; give it with --key-file")?;
    }
    forbid_inspection();
    Ok(key)
}

fn read_key(file: &Path) -> Result<Secret> {
    let text = fs::read_to_string(file).with_context(|| format!("--key-file: can't read {}", file.display()))?;
    Ok(Secret::new(&text))
}

fn forbid_inspection() {
    if let Err(error) = privacy::forbid_inspection() {
        tracing::warn!(%error, "other processes of this user can inspect the daemon");
    }
}

/// The probes and metrics. A daemon is ready while the server knows it and its engine answers.
async fn monitor(address: SocketAddr, vitals: &Vitals) -> Result<DropGuard> {
    let mut registry = monitor::registry("orgplane_daemon");
    vitals.register(&mut registry);
    let vitals = vitals.clone();
    let ready = async move || {
        if vitals.is_ready() {
            (StatusCode::OK, "OK")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "not connected, or the engine doesn't answer")
        }
    };
    let probes = Router::new().route("/healthz", get(async || "OK")).route("/readyz", get(ready));
    monitor::serve("--health-address", address, registry, async || {}, probes).await
}

/// A server that starts daemons holds the other end of their stdin, whatever becomes of it.
fn end_with_stdin(stop: Stop) -> Result<()> {
    let stdin = std::io::stdin().as_fd().try_clone_to_owned().context("stdin: not there")?;
    let mut stdin = pipe::Receiver::from_owned_fd(stdin).context("stdin: not a pipe")?;
    tokio::spawn(async move {
        // Nothing more is said there, so whatever comes is the end.
        let _ = stdin.read(&mut [0]).await;
        tracing::info!("interrupting: the server ends");
        stop.drain.cancel();
        stop.interrupt.cancel();
    });
    Ok(())
}

/// SIGTERM lets running jobs end; SIGINT, or a second signal, interrupts them.
fn stop() -> Result<Stop> {
    let stop = Stop::default();
    let told = stop.clone();
    let mut signals = signals::Stop::catch()?;
    tokio::spawn(async move {
        let first = signals.received().await;
        told.drain.cancel();
        if first == Signal::Terminate {
            tracing::info!("draining: running jobs may end; a second signal interrupts them");
            signals.received().await;
        }
        tracing::info!("interrupting");
        told.interrupt.cancel();
    });
    Ok(stop)
}

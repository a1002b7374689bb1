//! `orgplane server`: the control plane, its REST API and its probes on one address.

use std::fs::DirBuilder;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::Router;
use orgplane_gateway::Upstream;
use orgplane_server::options::{DatabaseUrl, Policy, Provisioners};
use orgplane_server::{Options, Server};
use tokio::time::{Instant, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::front;
use crate::args::{self, Timing};
use crate::built_in::{BuiltIn, Settings};
use crate::error::Usage;
use crate::limits;
use crate::listener::{Connections, Routers};
use crate::signals::Stop;
use crate::tls::{Certificate, Files};
use crate::{environment, monitor, output};

/// From the end of the built-in daemons to the exit, at most.
const SHUTDOWN: Duration = Duration::from_secs(10);
const READY_CHECK: Duration = Duration::from_secs(5);
/// The longest silence that proxies on the way can be expected to bear.
const MAX_HEARTBEAT: Duration = Duration::from_secs(15);
/// When a user was last seen is known to the hour.
const MIN_DORMANCY: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) async fn run(args: args::Server) -> Result<()> {
    limits::raise_open_files();
    let options = options(&args)?;
    let https = front::is_https(&args.listen)?;
    let access_url = front::access_url(&args.listen)?;
    let certificate = front::certificate(&args.listen)?;
    let grpc_certificate = grpc_certificate(&args)?;
    let built_in = Settings::new(&args.built_in, &args.log, &options.data_dir)?;
    create_private(&options.data_dir)?;
    let mut stop = Stop::catch()?;
    let (listener, url) = front::bind("--http-address", args.listen.http_address, certificate.is_some()).await?;
    let grpc_listener = match args.grpc_address {
        Some(address) => Some(front::bind("--grpc-address", address, certificate.is_some()).await?),
        None => None,
    };
    let server = tokio::select! {
        server = Server::start(&options) => Arc::new(server.context("can't start the server")?),
        _ = stop.received() => return Ok(()),
    };

    let (stopping, draining) = (CancellationToken::new(), CancellationToken::new());
    let grpc = server.router();
    let live = orgplane_gateway::Live::default();
    let gateway = orgplane_gateway::Options { https, live: live.clone(), ..Default::default() };
    let _monitor = match args.metrics_address {
        Some(address) => Some(metrics(address, &server, &gateway.metrics).await?),
        None => None,
    };
    let rest = orgplane_gateway::router(Upstream::in_process(grpc.clone()), gateway);
    let probes = probes(&server, &stopping);
    let http = probes.clone().fallback_service(rest);
    let trusted = args.listen.trusted_proxies;

    let connections = Connections::default();
    output::line(&format!("Orgplane is ready at {url}"))?;
    let built_in = BuiltIn::start(server.clone(), built_in, access_url.unwrap_or(url));
    let until_stopped = async {
        let first = stop.received().await;
        tracing::info!("stopping");
        stopping.cancel();
        // Their last words are to be taken, and so are everybody else's meanwhile.
        built_in.end(first, &mut stop).await;
        draining.cancel();
    };
    let serving = async {
        let Some((grpc_listener, grpc_url)) = grpc_listener else {
            let routers = Routers { grpc, http, trusted };
            return connections.accept(listener, certificate.as_ref(), routers, &draining).await;
        };
        tracing::info!(url = grpc_url, "gRPC is served at an address of its own");
        let no_grpc = super::no_grpc("gRPC is served at another address: see --grpc-address of the server");
        let rest = Routers { grpc: no_grpc, http, trusted: trusted.clone() };
        let calls = Routers { grpc, http: probes, trusted };
        tokio::join!(
            connections.accept(listener, certificate.as_ref(), rest, &draining),
            connections.accept(grpc_listener, grpc_certificate.as_ref(), calls, &draining),
        );
    };
    tokio::join!(serving, until_stopped);
    let deadline = Instant::now() + SHUTDOWN;
    // First the server, which sends daemons and followers away: their streams would keep the connections open.
    let (stopped, ()) = tokio::join!(timeout(SHUTDOWN, server.stop()), live.close(SHUTDOWN));
    if stopped.is_err() {
        tracing::warn!("background work took too long to end");
    }
    connections.drain(deadline.saturating_duration_since(Instant::now())).await;
    if timeout(SHUTDOWN, server.close()).await.is_err() {
        tracing::warn!("the database took too long to close");
    }
    Ok(())
}

/// What the server and the gateway in it count.
async fn metrics(address: SocketAddr, server: &Arc<Server>, gateway: &orgplane_gateway::Metrics) -> Result<DropGuard> {
    let mut registry = monitor::registry("orgplane");
    server.register_metrics(&mut registry);
    gateway.register(&mut registry);
    let server = server.clone();
    let count = move || {
        let server = server.clone();
        async move { server.count().await }
    };
    monitor::serve("--metrics-address", address, registry, count, Router::new()).await
}

/// Alive, and ready to serve.
fn probes(server: &Arc<Server>, draining: &CancellationToken) -> Router {
    let server = server.clone();
    front::probes(draining, move || {
        let server = server.clone();
        async move {
            let ready = timeout(READY_CHECK, server.ready()).await;
            ready.is_ok_and(|ready| ready.is_ok()).then_some(()).ok_or("the database doesn't answer")
        }
    })
}

/// The same certificate, and who may connect.
fn grpc_certificate(args: &args::Server) -> Result<Option<Certificate>> {
    let files = front::files(&args.listen).filter(|_| args.grpc_address.is_some());
    files.map(|files| Certificate::load(Files { client_ca: args.tls_client_ca_file.clone(), ..files })).transpose()
}

/// Everything that can be wrong with the settings is found here, before anything binds.
fn options(args: &args::Server) -> Result<Options> {
    front::check_address("--http-address", args.listen.http_address, &args.listen)?;
    if let Some(address) = args.grpc_address {
        front::check_address("--grpc-address", address, &args.listen)?;
    }
    check_timing(&args.timing)?;
    let data_dir = match &args.data_dir {
        Some(dir) => std::path::absolute(dir).context("--data-dir: not a path")?,
        None => environment::data_dir()
            .ok_or_else(|| Usage::new("give --data-dir: neither HOME nor XDG_DATA_HOME is set"))?,
    };
    Ok(Options {
        database_url: database_url(args, &data_dir)?,
        database_listen_url: database_listen_url(args)?,
        sealing_key_file: args.sealing_key_file.clone(),
        dormancy_threshold: dormancy_threshold(args.dormancy_threshold)?,
        provisioners: Provisioners {
            lease: args.timing.lease,
            apply_lost_after: args.timing.apply_lost_after,
            heartbeat: args.timing.heartbeat_interval,
            contact_lost_after: args.timing.contact_lost_after,
            reap_interval: args.timing.reap_interval,
            poll_interval: args.timing.poll_interval,
            pending_timeout: args.timing.pending_timeout,
            log_limit: args.timing.job_log_limit,
            job_time_limit: args.timing.job_timeout,
            server_url: front::access_url(&args.listen)?.unwrap_or_default(),
            ..Provisioners::default()
        },
        policy: policy(&args.policy)?,
        data_dir,
    })
}

fn dormancy_threshold(threshold: Duration) -> Result<Option<Duration>> {
    if !threshold.is_zero() && threshold < MIN_DORMANCY {
        return Err(Usage::new("--dormancy-threshold: must be at least 1d, or 0s for never").into());
    }
    Ok((!threshold.is_zero()).then_some(threshold))
}

fn policy(given: &args::Policy) -> Result<Policy> {
    const LONGEST: Duration = Duration::from_secs(876_600 * 60 * 60);
    if given.max_token_lifetime < Duration::from_secs(1) || given.max_token_lifetime > LONGEST {
        return Err(Usage::new("--max-token-lifetime: must be between 1s and 876600h").into());
    }
    if given.audit_retention.is_some_and(|kept| kept < Duration::from_secs(60 * 60) || kept > LONGEST) {
        return Err(Usage::new("--audit-retention: must be between 1h and 876600h").into());
    }
    Ok(Policy {
        max_token_lifetime: given.max_token_lifetime,
        calls_per_minute: given.rate_limit_per_minute,
        logins_per_minute: given.login_rate_limit_per_minute,
        uploads_per_minute: given.upload_rate_limit_per_minute,
        audit_retention: given.audit_retention,
    })
}

fn check_timing(timing: &Timing) -> Result<()> {
    let flags = [
        ("--lease", timing.lease),
        ("--apply-lost-after", timing.apply_lost_after),
        ("--heartbeat-interval", timing.heartbeat_interval),
        ("--contact-lost-after", timing.contact_lost_after),
        ("--reap-interval", timing.reap_interval),
        ("--poll-interval", timing.poll_interval),
        ("--job-timeout", timing.job_timeout),
    ];
    let pending = timing.pending_timeout.map(|timeout| ("--pending-timeout", timeout));
    for (flag, duration) in flags.into_iter().chain(pending) {
        if duration < Duration::from_millis(10) || duration > Duration::from_secs(7 * 24 * 60 * 60) {
            return Err(Usage::new(format!("{flag}: must be between 10ms and 7d")).into());
        }
    }
    let heartbeat = timing.heartbeat_interval;
    if heartbeat > MAX_HEARTBEAT {
        return Err(Usage::new("--heartbeat-interval: must be at most 15s, or proxies may cut silent streams").into());
    }
    if heartbeat >= timing.lease || heartbeat >= timing.contact_lost_after {
        return Err(Usage::new(
            "--heartbeat-interval: must be shorter than --lease and --contact-lost-after, which are counted from the last one",
        )
        .into());
    }
    if timing.apply_lost_after < timing.lease {
        return Err(Usage::new("--apply-lost-after: must not be shorter than --lease").into());
    }
    if timing.job_log_limit == 0 {
        return Err(Usage::new("--job-log-limit: must be at least 1 byte").into());
    }
    Ok(())
}

fn database_url(args: &args::Server, data_dir: &Path) -> Result<DatabaseUrl> {
    warn_of_password(args.database_url.as_deref(), "ORGPLANE_DATABASE_URL");
    let url = match args.database_url.clone().or_else(|| environment::first(environment::DATABASE_URL)) {
        Some(url) => url,
        None => {
            let file = data_dir.join("orgplane.db");
            let file = file.to_str().filter(|path| !path.contains(['?', '#', '%']));
            format!("sqlite://{}", file.ok_or_else(|| Usage::new("--data-dir: must be UTF-8 without ?, # and %"))?)
        }
    };
    let known = ["sqlite:///", "postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme));
    if !known {
        // Not repeated here: it may hold a password.
        return Err(
            Usage::new("--database-url: must be sqlite:///absolute/file.db or postgres://user@host/database").into()
        );
    }
    Ok(DatabaseUrl(url))
}

/// Where servers hear of each other, when that isn't the database's URL.
fn database_listen_url(args: &args::Server) -> Result<Option<DatabaseUrl>> {
    warn_of_password(args.database_listen_url.as_deref(), "ORGPLANE_DATABASE_LISTEN_URL");
    let url = args.database_listen_url.clone().or_else(|| environment::first(environment::DATABASE_LISTEN_URL));
    let known = |url: &String| ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme));
    if url.as_ref().is_some_and(|url| !known(url)) {
        return Err(Usage::new("--database-listen-url: must be postgres://user@host/database").into());
    }
    Ok(url.map(DatabaseUrl))
}

fn warn_of_password(flag: Option<&str>, variable: &str) {
    if flag.is_some_and(has_password) {
        tracing::warn!(
            "other users of this machine can read the database's password on the command line; set {variable} instead"
        );
    }
}

fn has_password(url: &str) -> bool {
    let authority = url.split_once("://").and_then(|(_, rest)| rest.split('/').next()).unwrap_or_default();
    authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
}

fn create_private(dir: &PathBuf) -> Result<()> {
    let created = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    created.with_context(|| format!("can't create the data folder {}; choose another with --data-dir", dir.display()))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Args, Command};

    fn args_of(line: &str) -> args::Server {
        match Args::try_parse_from(line.split(' ')).unwrap().command {
            Command::Server(args) => *args,
            _ => panic!("{line}"),
        }
    }

    fn options_of(line: &str) -> Result<Options> {
        options(&args_of(line))
    }

    #[test]
    fn defaults_follow_the_data_folder() {
        let options = options_of("orgplane server --data-dir /tmp/some-folder").unwrap();
        assert_eq!(options.database_url.0, "sqlite:///tmp/some-folder/orgplane.db");
        assert_eq!(options.dormancy_threshold, Some(Duration::from_secs(90 * 24 * 60 * 60)));
        assert_eq!(
            options_of("orgplane server --data-dir /x --dormancy-threshold 0s").unwrap().dormancy_threshold,
            None
        );
        assert_eq!(args_of("orgplane server").listen.http_address.to_string(), "127.0.0.1:3000");
    }

    #[test]
    fn the_defaults_are_the_servers_own() {
        let given = options_of("orgplane server --data-dir /tmp/x").unwrap().provisioners;
        assert_eq!(format!("{given:?}"), format!("{:?}", Provisioners::default()));
        let given = options_of("orgplane server --data-dir /tmp/x").unwrap().policy;
        assert_eq!(format!("{given:?}"), format!("{:?}", Policy::default()));
    }

    #[test]
    fn each_rule_names_its_flag() {
        for (flags, says) in [
            ("--http-address 0.0.0.0:3000", "--insecure-plaintext"),
            ("--database-url mysql://user:secret@host/db", "--database-url"),
            ("--database-url sqlite:relative.db", "--database-url"),
            ("--lease 1s", "--heartbeat-interval"),
            ("--heartbeat-interval 16s --lease 60s --contact-lost-after 60s", "--heartbeat-interval"),
            ("--apply-lost-after 20s", "--apply-lost-after"),
            ("--reap-interval 0s", "--reap-interval"),
            ("--job-log-limit 0", "--job-log-limit"),
            ("--dormancy-threshold 1h", "--dormancy-threshold"),
            ("--max-token-lifetime 0s", "--max-token-lifetime"),
            ("--audit-retention 1m", "--audit-retention"),
        ] {
            let error = options_of(&format!("orgplane server --data-dir /tmp/x {flags}")).unwrap_err();
            assert!(error.is::<Usage>(), "{flags}");
            assert!(error.to_string().contains(says) && !error.to_string().contains("secret"), "{flags}: {error}");
        }
        options_of("orgplane server --data-dir /tmp/x --http-address 0.0.0.0:3000 --insecure-plaintext").unwrap();
    }

    #[test]
    fn the_access_url_says_whether_clients_use_https() {
        let https = |flags: &str| {
            let line = format!("orgplane server --data-dir /tmp/x {flags}");
            let Command::Server(args) = Args::try_parse_from(line.split_whitespace()).unwrap().command else {
                panic!()
            };
            front::is_https(&args.listen)
        };
        assert!(https("--access-url https://orgplane.example.com").unwrap());
        assert!(https("--access-url https://orgplane.example.com:8443/").unwrap());
        assert!(!https("--access-url http://orgplane.example.com").unwrap());
        for bad in ["orgplane.example.com", "ftp://x", "https://", "https://x/path", "https://u:secret@x"] {
            let error = https(&format!("--access-url {bad}")).unwrap_err();
            assert!(error.is::<orgplane_client::Setting>(), "{bad}");
            assert!(error.to_string().contains("--access-url") && !error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn passwords_in_urls_are_found() {
        assert!(has_password("postgres://user:secret@host/db"));
        assert!(!has_password("postgres://user@host:5432/db") && !has_password("sqlite:///a:b@c"));
    }
}

//! `orgplane gateway`: the REST API alone, before a control plane elsewhere.

use std::time::Duration;

use anyhow::Result;
use orgplane_client::{Remote, Setting, Transport};
use orgplane_gateway::Upstream;
use orgplane_proto::identity::v1::GetFirstUserRequest;
use orgplane_proto::identity::v1::user_service_client::UserServiceClient;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use super::front;
use crate::error::Usage;
use crate::limits;
use crate::listener::{Connections, Routers};
use crate::signals::Stop;
use crate::{args, client, output};

const USER_AGENT: &str = concat!("orgplane-gateway/", env!("CARGO_PKG_VERSION"));
/// From the signal to the exit, at most.
const SHUTDOWN: Duration = Duration::from_secs(10);
const READY_CHECK: Duration = Duration::from_secs(5);
/// Bytes on their way for one call, and for all: a client that doesn't read holds up its own call and no other's.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 64 * 1024 * 1024;
/// A silent connection shows within this time whether the control plane is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

pub(crate) async fn run(args: args::Gateway) -> Result<()> {
    limits::raise_open_files();
    front::check_address("--http-address", args.listen.http_address, &args.listen)?;
    let https = front::is_https(&args.listen)?;
    let control_plane = remote(&args)?.connect_lazy().map_err(renamed)?;
    let certificate = front::certificate(&args.listen)?;
    let mut stop = Stop::catch()?;
    let (listener, url) = front::bind("--http-address", args.listen.http_address, certificate.is_some()).await?;

    let draining = CancellationToken::new();
    let live = orgplane_gateway::Live::default();
    let options = orgplane_gateway::Options { https, live: live.clone(), ..Default::default() };
    let rest = orgplane_gateway::router(Upstream::remote(control_plane.clone()), options);
    let ready = move || answers(control_plane.clone());
    let http = front::probes(&draining, ready).fallback_service(rest);
    let grpc = super::no_grpc("this is a gateway: gRPC is served by the control plane itself");

    let connections = Connections::default();
    let routers = Routers { grpc, http, trusted: args.listen.trusted_proxies };
    output::line(&format!("The gateway is ready at {url}"))?;
    tokio::select! {
        () = connections.accept(listener, certificate.as_ref(), routers, &draining) => {}
        _ = stop.received() => draining.cancel(),
    }
    tracing::info!("stopping");
    tokio::join!(connections.drain(SHUTDOWN), live.close(SHUTDOWN));
    Ok(())
}

fn remote(args: &args::Gateway) -> Result<Remote> {
    let options = client::options(&args.server_url, args.listen.insecure_plaintext, &args.route)?;
    let remote = Remote::new(&options, USER_AGENT, |endpoint| {
        endpoint
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
    });
    Ok(remote.map_err(renamed)?)
}

/// The URL has another flag here than elsewhere.
fn renamed(setting: Setting) -> Usage {
    let flag = if setting.flag == "--url" { "--server-url" } else { setting.flag };
    Usage::new(format!("{flag}: {}", setting.rule))
}

/// Asks what anybody may ask, and what needs the control plane's database. Any answer of its own will do.
async fn answers(control_plane: Transport) -> Result<(), &'static str> {
    let mut users = UserServiceClient::new(control_plane);
    let asked = timeout(READY_CHECK, users.get_first_user(GetFirstUserRequest {})).await;
    let status = match asked {
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(status)) => status,
        Err(_) => Status::deadline_exceeded(""),
    };
    match status.code() {
        Code::NotFound => Ok(()),
        _ => {
            tracing::warn!(cause = status.message(), "the control plane doesn't answer");
            Err("the control plane doesn't answer")
        }
    }
}

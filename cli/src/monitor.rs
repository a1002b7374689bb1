//! A listener for operators: `/metrics`, and for daemons the probes. Without TLS and credentials: it says what organizations
//! and tags there are, so it is apart from where everybody comes.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::routing::get;
use http::{StatusCode, header};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::forwarded::TrustedProxies;
use crate::listener::{Connections, Routers};

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What a program shows, with its version.
pub(crate) fn registry(prefix: &str) -> Registry {
    let mut registry = Registry::with_prefix(prefix);
    let version = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
    registry.register("build", "The program", version);
    registry
}

/// Serves `/metrics` and what else is given until the guard is dropped. `refresh` comes before each answer.
pub(crate) async fn serve<F: Future<Output = ()> + Send>(
    flag: &str,
    address: SocketAddr,
    registry: Registry,
    refresh: impl Fn() -> F + Clone + Send + Sync + 'static,
    others: Router,
) -> Result<DropGuard> {
    let listener = TcpListener::bind(address).await;
    let listener =
        listener.with_context(|| format!("can't listen on {address}; choose another address with {flag}"))?;
    let bound = listener.local_addr()?;
    let registry = Arc::new(registry);
    let metrics = async move || {
        refresh().await;
        let mut text = String::new();
        match encode(&mut text, &registry) {
            Ok(()) => Ok(([(header::CONTENT_TYPE, OPENMETRICS)], text)),
            Err(_) => Err(StatusCode::INTERNAL_SERVER_ERROR),
        }
    };
    let http = others.route("/metrics", get(metrics));
    let stop = CancellationToken::new();
    let guard = stop.clone().drop_guard();
    tracing::info!(address = %bound, "metrics are served");
    tokio::spawn(async move {
        let routers = Routers { grpc: Router::new(), http, trusted: TrustedProxies::default() };
        Connections::default().accept(listener, None, routers, &stop).await;
    });
    Ok(guard)
}

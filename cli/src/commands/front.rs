//! What the server and the gateway have in common: the checks of a listener's settings, the listener, the probes.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::routing::get;
use http::StatusCode;
use orgplane_client::address;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::args::Listen;
use crate::environment;
use crate::error::Usage;
use crate::tls::{Certificate, Files};

/// Refuses to serve in the open unless the operator allows it.
pub(crate) fn check_address(flag: &str, address: SocketAddr, listen: &Listen) -> Result<()> {
    if address.ip().is_loopback() || listen.tls_cert_file.is_some() || listen.insecure_plaintext {
        return Ok(());
    }
    Err(Usage::new(format!(
        "give --tls-cert-file and --tls-key-file, or add --insecure-plaintext if something in front of it ends TLS: {flag} \
         {address} would serve unencrypted to the network"
    ))
    .into())
}

/// Where clients reach what is in front of us, as the operator says.
pub(crate) fn access_url(listen: &Listen) -> Result<Option<String>> {
    let url = listen.access_url.clone().or_else(|| environment::first(environment::ACCESS_URL));
    let Some(url) = url else { return Ok(None) };
    Ok(Some(address::parse("--access-url", &url)?.to_string().trim_end_matches('/').to_owned()))
}

/// Whether clients come by https: to us, or to something in front of us.
pub(crate) fn is_https(listen: &Listen) -> Result<bool> {
    Ok(access_url(listen)?.map_or(listen.tls_cert_file.is_some(), |url| url.starts_with("https:")))
}

/// The certificate, where there is one.
pub(crate) fn certificate(listen: &Listen) -> Result<Option<Certificate>> {
    files(listen).map(Certificate::load).transpose()
}

/// The files of the certificate.
pub(crate) fn files(listen: &Listen) -> Option<Files> {
    let (cert, key) = listen.tls_cert_file.clone().zip(listen.tls_key_file.clone())?;
    Some(Files { cert, key, client_ca: None })
}

/// Listens; also the URL of where.
pub(crate) async fn bind(flag: &str, address: SocketAddr, tls: bool) -> Result<(TcpListener, String)> {
    let listener = TcpListener::bind(address).await;
    let listener =
        listener.with_context(|| format!("can't listen on {address}; choose another address with {flag}"))?;
    let url = format!("{}://{}", if tls { "https" } else { "http" }, listener.local_addr()?);
    Ok((listener, url))
}

/// Alive, and ready to serve: `ready` says what is missing.
pub(crate) fn probes<F>(draining: &CancellationToken, ready: impl Fn() -> F + Clone + Send + Sync + 'static) -> Router
where
    F: Future<Output = Result<(), &'static str>> + Send + 'static,
{
    let draining = draining.clone();
    let answer = async move || {
        if draining.is_cancelled() {
            return (StatusCode::SERVICE_UNAVAILABLE, "stopping");
        }
        match ready().await {
            Ok(()) => (StatusCode::OK, "OK"),
            Err(missing) => (StatusCode::SERVICE_UNAVAILABLE, missing),
        }
    };
    Router::new().route("/healthz", get(async || "OK")).route("/readyz", get(answer))
}

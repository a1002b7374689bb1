//! As much of an HTTP client as the demo needs to show what the REST API answers.

use anyhow::{Context as _, Result, bail};
use http::{Request, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

const MAX_BODY: usize = 4 * 1024 * 1024;

/// Sends a GET with a session token to a server of the form `http://host:port`, and returns the JSON it answers.
pub(crate) async fn get(server: &str, path: &str, token: &str) -> Result<serde_json::Value> {
    let authority = server.strip_prefix("http://").context("not an http:// URL")?;
    let stream = TcpStream::connect(authority).await.context("can't connect")?;
    let (mut sender, connection) = http1::handshake::<_, Empty<Bytes>>(TokioIo::new(stream)).await?;
    let request = Request::get(path)
        .header(header::HOST, authority)
        .header(header::ACCEPT, "application/json")
        .header("Coder-Session-Token", token)
        .body(Empty::new())?;
    let exchange = async move {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!("the answer breaks off: {error}"))?.to_bytes();
        Ok::<_, anyhow::Error>((status, body))
    };
    let (answer, _) = tokio::join!(exchange, connection);
    let (status, body) = answer?;
    if !status.is_success() {
        bail!("GET {path} answers {status}: {}", String::from_utf8_lossy(&body));
    }
    serde_json::from_slice(&body).with_context(|| format!("GET {path} answers no JSON"))
}

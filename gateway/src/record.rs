//! Appends every exchange under `/api/v2` to a file, so that tests can hold it against the documented contract.
//!
//! Only for tests: bodies with session tokens and keys are written as they are.

use std::path::{Path, PathBuf};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

/// A middleware: passes the exchange on and writes `{"method","path","status","body"}`, one line each.
pub(crate) async fn exchange(State(file): State<Option<PathBuf>>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let Some(file) = file.filter(|_| path.starts_with("/api/v2")) else { return next.run(request).await };
    let method = request.method().to_string();
    let (parts, body) = next.run(request).await.into_parts();
    let is_json =
        parts.headers.get(header::CONTENT_TYPE).is_some_and(|t| t.as_bytes().starts_with(b"application/json"));
    let (body, recorded) = if is_json {
        match to_bytes(body, usize::MAX).await {
            Ok(bytes) => (Body::from(bytes.clone()), serde_json::from_slice(&bytes).unwrap_or(Value::Null)),
            Err(error) => {
                let broken = futures_util::stream::iter([Err::<bytes::Bytes, _>(error)]);
                return Response::from_parts(parts, Body::from_stream(broken));
            }
        }
    } else {
        (body, Value::Null)
    };
    let line = json!({"method": method, "path": path, "status": parts.status.as_u16(), "body": recorded});
    if let Err(error) = append(&file, &format!("{line}\n")).await {
        tracing::error!(%error, file = %file.display(), "an exchange can't be recorded");
    }
    Response::from_parts(parts, body)
}

/// One write for the whole line, so that lines of several processes don't mix. Nobody else may read the secrets.
async fn append(file: &Path, line: &str) -> std::io::Result<()> {
    let mut file = tokio::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(file).await?;
    file.write_all(line.as_bytes()).await?;
    file.flush().await
}

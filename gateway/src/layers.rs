//! What happens around every request: its id, the headers that every response carries, its line in the log.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderName, HeaderValue, header};
use orgplane_proto::context::RequestId;
use uuid::Uuid;

use crate::error::Cause;
use crate::metrics::Metrics;

const BUILD_VERSION: HeaderName = HeaderName::from_static("x-coder-build-version");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-coder-request-id");

/// A middleware. The query stays out of the log: it may carry a token.
pub(crate) async fn around(
    State((version, metrics)): State<(HeaderValue, Metrics)>,
    mut request: Request,
    next: Next,
) -> Response {
    let start = Instant::now();
    let id = Uuid::now_v7();
    request.extensions_mut().insert(RequestId(id));
    let route = request.extensions().get::<MatchedPath>().cloned();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());

    let mut response = next.run(request).await;

    let headers = response.headers_mut();
    headers.insert(BUILD_VERSION, version);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        headers.insert(REQUEST_ID, value);
    }
    if path.starts_with("/api/v2") {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    let route = route.as_ref().map(MatchedPath::as_str);
    metrics.request(&method, route, response.status(), start.elapsed());
    let duration_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let status = response.status().as_u16();
    if response.status().is_server_error() {
        let cause = response.extensions_mut().remove::<Option<Cause>>().flatten();
        let cause = cause.map_or_else(String::new, |Cause(text)| text);
        tracing::error!(%method, path, status, duration_ms, request_id = %id, cause, "request failed");
    } else {
        tracing::info!(%method, path, status, duration_ms, request_id = %id, "request");
    }
    response
}

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

/// Segments of a path without a route that are logged.
const KNOWN_SEGMENTS: usize = 3;
/// Names aren't longer; session tokens and provisioner keys are.
const LONGEST_NAME: usize = 32;

/// A middleware. What may carry a secret stays out of the log: the query, and of the path what is no id.
pub(crate) async fn around(
    State((version, metrics)): State<(HeaderValue, Metrics)>,
    mut request: Request,
    next: Next,
) -> Response {
    let start = Instant::now();
    let id = Uuid::now_v7();
    request.extensions_mut().insert(RequestId(id));
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map(MatchedPath::as_str);
    let method = request.method().clone();
    let is_api = request.uri().path().starts_with("/api/v2");
    let path = loggable(request.uri().path(), route);

    let mut response = next.run(request).await;

    let headers = response.headers_mut();
    headers.insert(BUILD_VERSION, version);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        headers.insert(REQUEST_ID, value);
    }
    if is_api {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
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

/// The path with its route's words and with what can be an id or a name; of one without a route only the beginning.
fn loggable(path: &str, route: Option<&str>) -> String {
    let mut route = route.map(|route| route.split('/').skip(1));
    let mut text = String::new();
    for (at, segment) in path.split('/').skip(1).enumerate() {
        let is_word = match &mut route {
            Some(route) => route.next() == Some(segment),
            None if at == KNOWN_SEGMENTS => return text + "/…",
            None => false,
        };
        text.push('/');
        text.push_str(if is_word || is_id(segment) { segment } else { "…" });
    }
    text
}

fn is_id(segment: &str) -> bool {
    let is_name = || segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    segment.len() <= LONGEST_NAME && is_name() || Uuid::try_parse(segment).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_logged_without_secrets() {
        let key = format!("orgp_{}", "a".repeat(43));
        let id = "01995a3c-7d5e-7b1f-8a52-3f0c3a1e9b11";
        let job = "/api/v2/organizations/{organization}/provisionerjobs/{job}";
        for (path, route, logged) in [
            ("/", None, "/"),
            ("/api/v2", Some("/api/v2"), "/api/v2"),
            (
                "/api/v2/organizations/acme/provisionerjobs/ID",
                Some(job),
                "/api/v2/organizations/acme/provisionerjobs/ID",
            ),
            ("/api/v2/organizations/KEY/provisionerjobs/ID", Some(job), "/api/v2/organizations/…/provisionerjobs/ID"),
            ("/api/v2/organizations/a%41/provisionerjobs/x", Some(job), "/api/v2/organizations/…/provisionerjobs/x"),
            ("/api/v2/provisionerkeys/KEY", None, "/api/v2/provisionerkeys/…"),
            ("/api/v2/provisionerkeys/short/more", None, "/api/v2/provisionerkeys/…"),
            ("/KEY", None, "/…"),
        ] {
            let filled = |text: &str| text.replace("KEY", &key).replace("ID", id);
            assert_eq!(loggable(&filled(path), route), filled(logged), "{path}");
        }
    }
}

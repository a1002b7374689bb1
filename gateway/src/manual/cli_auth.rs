//! `/cli-auth`: the page that `coder login` and `orgplane login` send people to. It signs in through the API like any other
//! client, and shows a key to paste into the terminal.

use axum::Router;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::{HeaderName, HeaderValue, header};

use crate::Gateway;

const HTML: &str = include_str!("../../static/cli-auth.html");
const CSS: &str = include_str!("../../static/cli-auth.css");
const JS: &str = include_str!("../../static/cli-auth.js");

/// Nothing from elsewhere, nothing in the page itself, no frame around it; the form is sent by the script alone.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'none'; \
     base-uri 'none'; frame-ancestors 'none'",
);

/// The page and what belongs to it.
pub(crate) fn pages() -> Router<Gateway> {
    Router::new()
        .route("/cli-auth", get(async || page("text/html; charset=utf-8", HTML)))
        .route("/cli-auth.css", get(async || page("text/css; charset=utf-8", CSS)))
        .route("/cli-auth.js", get(async || page("text/javascript; charset=utf-8", JS)))
}

fn page(kind: &'static str, text: &'static str) -> Response {
    let headers: [(HeaderName, HeaderValue); 6] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    ];
    (headers, text).into_response()
}

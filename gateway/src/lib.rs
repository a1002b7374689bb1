//! The REST translation: the documented JSON API under `/api/v2` on top of the gRPC services.
//!
//! It decides nothing: a request becomes one call with the caller's token, the reply becomes JSON, a failure becomes
//! `{message, detail?, validations?}`. Mechanical operations are generated from the descriptors (`build.rs`).
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod auth;
mod body;
mod call;
mod error;
mod json;
mod layers;
mod live;
mod manual;
mod metrics;
mod path;
mod query;
mod reply;
mod routes;
mod socket;
mod stream;
mod strict;
mod upstream;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use http::{HeaderValue, StatusCode, Uri};
use tower::ServiceExt as _;

pub use live::Live;
pub use metrics::Metrics;
pub use upstream::Upstream;

use crate::error::Error;

/// How the gateway behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// The version that `X-Coder-Build-Version` tells; characters that a header can't carry are left out.
    pub version: String,
    /// Whether clients reach the gateway by https: session cookies are then `Secure`, and its own origin is an https one.
    pub https: bool,
    /// How long a call, or a silence within a stream, may last.
    pub timeout: Duration,
    /// Where requests are counted.
    pub metrics: Metrics,
    /// The answers that go on; to be closed by whoever stops the gateway.
    pub live: Live,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            version: orgplane_proto::BUILD_VERSION.to_owned(),
            https: false,
            timeout: Duration::from_secs(30),
            metrics: Metrics::default(),
            live: Live::default(),
        }
    }
}

/// What handlers share.
#[derive(Debug, Clone)]
pub(crate) struct Gateway {
    upstream: Upstream,
    options: Arc<Options>,
}

/// The REST API over the given services.
///
/// The router serves everything through its fallback, because paths are cleaned before they are routed. So a router that
/// it is merged with must have no fallback of its own (see [`Router::reset_fallback`]). The client's address is taken
/// from the request's extensions: an [`orgplane_proto::context::ClientAddress`], else axum's `ConnectInfo` of the listener.
pub fn router(upstream: Upstream, options: Options) -> Router {
    let version: String = options.version.chars().filter(char::is_ascii_graphic).collect();
    let version = HeaderValue::from_str(&version).unwrap_or(HeaderValue::from_static(""));
    let mut api = manual::cli_auth::pages();
    for route in routes::manual().into_iter().chain(routes::mechanical()) {
        api = api.route(route.path, route.handler);
    }
    let api = api
        .method_not_allowed_fallback(wrong_method)
        .fallback(unknown_route)
        .layer(from_fn_with_state((version, options.metrics.clone()), layers::around))
        .with_state(Gateway { upstream, options: Arc::new(options) });
    Router::new().fallback_service(api.map_request(path::normalize))
}

async fn unknown_route(uri: Uri) -> Error {
    Error::new(StatusCode::NOT_FOUND, "Route not found.").detail(format!("There is nothing at {:?}.", uri.path()))
}

async fn wrong_method() -> Error {
    Error::new(StatusCode::METHOD_NOT_ALLOWED, "The method is not allowed for this route.")
}

#[cfg(test)]
mod tests;

//! The routes: generated ones for mechanical operations, and the table of those written by hand.

use axum::body::Body;
use axum::extract::State;
use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, on};
use http::Method;

use crate::Gateway;
use crate::call::Call;
use crate::error::Answer;
use crate::manual;
use crate::upstream::MESSAGE_LIMIT;

/// One operation of the REST API.
pub(crate) struct Route {
    /// For the test that holds the routes against the descriptors; the handler knows its method itself.
    #[cfg_attr(not(test), allow(dead_code))]
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) handler: MethodRouter<Gateway>,
}

impl Route {
    fn new<H: Handler<T, Gateway>, T: 'static>(method: Method, path: &'static str, handler: H) -> Self {
        let filter = MethodFilter::try_from(method.clone()).unwrap_or(MethodFilter::GET);
        Self { method, path, handler: on(filter, handler) }
    }
}

/// The operations that need code of their own.
pub(crate) fn manual() -> Vec<Route> {
    vec![
        Route::new(Method::GET, "/api/v2", manual::root::hello),
        Route::new(Method::GET, "/api/v2/openapi.json", manual::root::openapi),
        Route::new(Method::POST, "/api/v2/users/login", manual::session::login),
        Route::new(Method::POST, "/api/v2/users/logout", manual::session::logout),
        Route::new(Method::POST, "/api/v2/files", manual::files::upload),
        Route::new(Method::GET, "/api/v2/files/{file}", manual::files::download),
        Route::new(Method::GET, "/api/v2/templateversions/{template_version}/logs", manual::logs::of_template_version),
        Route::new(
            Method::GET,
            "/api/v2/templateversions/{template_version}/dry-run/{job}/logs",
            manual::logs::of_dry_run,
        ),
        Route::new(Method::GET, "/api/v2/workspacebuilds/{workspace_build}/logs", manual::logs::of_workspace_build),
        Route::new(Method::GET, "/api/v2/workspacebuilds/{workspace_build}/state", manual::state::download),
        Route::new(Method::GET, "/api/v2/workspaces/{workspace}/watch", manual::watch::by_events),
        Route::new(Method::GET, "/api/v2/workspaces/{workspace}/watch-ws", manual::watch::by_socket),
    ]
}

include!(concat!(env!("OUT_DIR"), "/routes.rs"));

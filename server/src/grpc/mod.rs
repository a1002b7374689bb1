//! gRPC in and out: each method reads its message, calls one method of [`Service`], and writes the reply. No rules.

mod auth;
mod convert;
pub mod status;

use std::sync::Arc;

use axum::middleware::from_fn_with_state;
use tonic::Request;
use tonic::service::Routes;

use crate::domain::Error;
use crate::domain::error::Credential;
use crate::service::{Caller, Service};

/// The services' implementation, one `impl` per file.
#[derive(Debug, Clone)]
pub struct Api(pub(crate) Arc<Service>);

/// Takes a request apart into who asks and what.
fn parts<T>(request: Request<T>) -> Result<(Caller, T), tonic::Status> {
    let (_, mut extensions, message) = request.into_parts();
    let caller = extensions.remove::<Caller>();
    Ok((caller.ok_or_else(|| status::of(Error::Unauthenticated(Credential::Missing)))?, message))
}

/// Every service of the control plane behind its layers, ready to be served or to be called in process.
pub fn router(service: Arc<Service>) -> axum::Router {
    let api = Api(service.clone());
    let routes = Routes::default();
    let _ = api;
    routes.into_axum_router().layer(from_fn_with_state(service, auth::layer))
}

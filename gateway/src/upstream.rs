//! The way to the gRPC services: in this process or over the network, behind one type.

use std::convert::Infallible;
use std::fmt;
use std::task::{Context, Poll};

use futures_util::future::{BoxFuture, ready};
use tonic::Status;
use tonic::body::Body;
use tonic::transport::Channel;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Service, ServiceExt as _};

/// The largest message that the gateway takes from or gives to a service.
pub(crate) const MESSAGE_LIMIT: usize = 16 * 1024 * 1024;

type Request = http::Request<Body>;
type Response = http::Response<Body>;

/// The transport of the generated clients; cheap to clone.
///
/// A call travels through every layer of the given router, whether or not there is a socket in between.
#[derive(Clone)]
pub struct Upstream {
    service: BoxCloneSyncService<Request, Response, BoxError>,
}

impl Upstream {
    /// Calls the services of a router of this process, such as [`tonic::service::Routes::into_axum_router`] with layers
    /// around it. Extensions of a request reach the router.
    #[must_use]
    pub fn in_process(router: axum::Router) -> Self {
        let service = router
            .map_request(|request: Request| request.map(axum::body::Body::new))
            .map_response(|response: axum::response::Response| response.map(Body::new))
            .map_err(|never: Infallible| match never {});
        Self { service: BoxCloneSyncService::new(service) }
    }

    /// Calls a control plane over the network. A peer that can't be reached is `UNAVAILABLE`.
    #[must_use]
    pub fn channel(channel: Channel) -> Self {
        let service = channel.map_err(unreachable).and_then(|response: Response| ready(grpc_only(response)));
        Self { service: BoxCloneSyncService::new(service) }
    }
}

/// A proxy's page is no answer, whatever its bytes would decode to.
fn grpc_only(response: Response) -> Result<Response, BoxError> {
    let kind = response.headers().get(http::header::CONTENT_TYPE);
    if kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc")) {
        return Ok(response);
    }
    Err(Status::unavailable(format!("the answer is not gRPC: {} with content type {kind:?}", response.status())).into())
}

/// A failed connection as a status; its cause stays for the log.
fn unreachable(error: tonic::transport::Error) -> BoxError {
    match Status::try_from_error(Box::new(error)) {
        Ok(status) => status.into(),
        Err(error) => {
            let mut status = Status::unavailable("The control plane can't be reached.");
            status.set_source(error.into());
            status.into()
        }
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").finish_non_exhaustive()
    }
}

impl Service<Request> for Upstream {
    type Response = Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response, BoxError>>;

    /// Always ready: waiting for the connection is part of the call, so that its failure is the call's.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        Box::pin(self.service.clone().oneshot(request))
    }
}

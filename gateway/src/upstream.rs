//! The way to the gRPC services: in this process or over the network, behind one type.

use std::convert::Infallible;
use std::fmt;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use http::HeaderValue;
use orgplane_client::Transport;
use orgplane_proto::context::{ClientAddress, FORWARDED_FOR, REQUEST_ID, RequestId};
use tonic::body::Body;
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

    /// Calls a control plane over the network, and tells it for whom: it believes that if it trusts the gateway's address.
    #[must_use]
    pub fn remote(control_plane: Transport) -> Self {
        let service = control_plane.map_request(with_facts).map_err(BoxError::from);
        Self { service: BoxCloneSyncService::new(service) }
    }
}

/// Over a socket the trusted facts travel as headers. Callers of the gateway have no part in the headers of its calls.
fn with_facts(mut request: Request) -> Request {
    let client = request.extensions().get::<ClientAddress>().map(|client| client.0.to_string());
    let id = request.extensions().get::<RequestId>().map(|id| id.0.to_string());
    for (name, fact) in [(FORWARDED_FOR, client), (REQUEST_ID, id)] {
        if let Some(value) = fact.and_then(|fact| HeaderValue::try_from(fact).ok()) {
            request.headers_mut().insert(name, value);
        }
    }
    request
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

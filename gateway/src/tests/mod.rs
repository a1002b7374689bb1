//! The whole router over fake services.

mod answers;
mod fake;
mod files;
mod openapi;
mod routes;
mod shapes;
mod streams;
mod transport;

use std::net::{IpAddr, Ipv4Addr};

use axum::body::{Body, to_bytes};
use http::{HeaderMap, Request, Response, StatusCode};
use orgplane_proto::context::ClientAddress;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::{Options, Upstream, router};
use fake::Fake;

/// The gateway over a fake of the services.
struct Api {
    fake: Fake,
    router: axum::Router,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    bytes: bytes::Bytes,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|_| panic!("not JSON: {:?}", self.bytes))
    }

    fn message(&self) -> String {
        self.json()["message"].as_str().expect("an error body has a message").to_owned()
    }
}

impl Api {
    fn new() -> Self {
        Self::with(Options::default())
    }

    fn with(options: Options) -> Self {
        let fake = Fake::default();
        let router = router(Upstream::in_process(fake.routes()), options);
        Self { fake, router }
    }

    async fn respond(&self, mut request: Request<Body>) -> Response<Body> {
        request.extensions_mut().insert(ClientAddress(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7))));
        self.router.clone().oneshot(request).await.unwrap()
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self.respond(request).await.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        Answer { status: parts.status, headers: parts.headers, bytes }
    }

    async fn get(&self, uri: &str) -> Answer {
        self.send(call("GET", uri, "")).await
    }
}

fn call(method: &str, uri: &str, body: &str) -> Request<Body> {
    Request::builder().method(method).uri(uri).body(Body::from(body.to_owned())).unwrap()
}

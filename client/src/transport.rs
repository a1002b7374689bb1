//! What generated clients call through.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{HeaderMap, Request, Response, header};
use tonic::body::Body;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tower::Service;

use crate::error::{Fault, causes};
use crate::headers::Headers;
use crate::peer::LastFault;

/// Bytes of a foreign header that are repeated.
const SHOWN: usize = 60;

/// Calls of a control plane. Cheap to clone; a broken connection is made again by the next call.
///
/// What isn't an answer of a gRPC server, such as a proxy's page, is `UNAVAILABLE` with the cause in the message, whatever
/// its HTTP status says: it tells nothing about the call.
#[derive(Clone)]
pub struct Transport {
    channel: Channel,
    headers: Headers,
    last_fault: LastFault,
}

impl Transport {
    pub(crate) fn new(channel: Channel, headers: Headers, last_fault: LastFault) -> Self {
        Self { channel, headers, last_fault }
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").finish_non_exhaustive()
    }
}

impl Service<Request<Body>> for Transport {
    type Response = Response<Body>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Status>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        self.channel.poll_ready(cx).map_err(|error| failure(error, &self.last_fault))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        self.headers.add_to(request.headers_mut());
        let last_fault = self.last_fault.clone();
        let answer = self.channel.call(request);
        Box::pin(async move {
            match answer.await {
                Ok(response) => grpc_only(response),
                Err(error) => Err(failure(error, &last_fault)),
            }
        })
    }
}

/// A proxy's page is no answer, whatever its bytes would decode to.
fn grpc_only(response: Response<Body>) -> Result<Response<Body>, Status> {
    let kind = response.headers().get(header::CONTENT_TYPE);
    if kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc")) {
        return Ok(response);
    }
    Err(unavailable(foreign(&response)))
}

fn foreign<T>(response: &Response<T>) -> Fault {
    let headers = response.headers();
    let kind = shown(headers, header::CONTENT_TYPE).map(|kind| format!(", {kind}")).unwrap_or_default();
    let from = shown(headers, header::SERVER).map(|server| format!(", from {server}")).unwrap_or_default();
    Fault(format!("the answer isn't gRPC but HTTP {}{kind}{from}", response.status()))
}

fn shown(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    let text = headers.get(name)?.to_str().ok()?;
    Some(text.chars().filter(|c| !c.is_control()).take(SHOWN).collect())
}

fn unavailable(fault: Fault) -> Status {
    let mut status = Status::unavailable(fault.0.clone());
    status.set_source(std::sync::Arc::new(fault));
    status
}

/// A failed call as a status that says why.
fn failure(error: tonic::transport::Error, last: &LastFault) -> Status {
    // Calls of a connection that ended over it are only said to be canceled.
    if let Some(fault) = last.get() {
        return unavailable(fault);
    }
    let cause = Fault(causes(&error));
    match Status::try_from_error(Box::new(error)) {
        // The peer, or our own deadline, ended the call and said so.
        Ok(status) if !matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Internal) => status,
        _ => unavailable(cause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_named() {
        let page = Response::builder().status(502).header("content-type", "text/html").header("server", "nginx\u{9}");
        let status = grpc_only(page.body(Body::empty()).unwrap()).unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(status.message(), "the answer isn't gRPC but HTTP 502 Bad Gateway, text/html, from nginx");
        let ours = Response::builder().header("content-type", "application/grpc").body(Body::empty()).unwrap();
        grpc_only(ours).unwrap();
    }
}

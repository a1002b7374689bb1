//! The layers that every call passes, on a socket and in process: its id and span, its deadline, who makes it, and that a
//! panic ends the call and nothing else.

use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::middleware::Next;
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderValue, Request, Response};
use orgplane_proto::PUBLIC_METHODS;
use orgplane_proto::context::{CLIENT_AGENT, ClientAddress, REQUEST_ID, RequestId};
use tonic::{Code, Status};
use tracing::Instrument as _;
use uuid::Uuid;

use super::rate_limit::RateLimits;
use super::{arrival, deadline, status};
use crate::domain::error::Credential;
use crate::domain::{Error, Result};
use crate::service::{Actor, Caller, Service, USER_AGENT};

/// What daemons call with their key. Everything else is for users.
pub(super) const DAEMON_METHODS: &[&str] = &[
    "/orgplane.provisioner.v1.ProvisionerDaemonService/Connect",
    "/orgplane.provisioner.v1.ProvisionerDaemonService/Download",
    "/orgplane.provisioner.v1.ProvisionerDaemonService/Upload",
];

/// What the layers know.
#[derive(Debug, Clone)]
pub(crate) struct Layer {
    service: Arc<Service>,
    limits: Arc<RateLimits>,
}

impl Layer {
    pub(crate) fn new(service: Arc<Service>) -> Self {
        let limits = Arc::new(RateLimits::new(service.policy.clone()));
        Self { service, limits }
    }
}

/// Lets a call through to its service with a [`Caller`], or answers it.
pub(crate) async fn layer(
    State(Layer { service, limits }): State<Layer>,
    mut request: Request<Body>,
    next: Next,
) -> Response<Body> {
    let start = Instant::now();
    // The gateway of this process says itself what it was asked for.
    let direct = request.extensions().get::<RequestId>().is_none();
    let request_id = request_id(request.extensions());
    let path = request.uri().path().to_owned();
    let span = tracing::info_span!("grpc", %request_id, method = path);
    let deadline = deadline::of(request.headers());
    let call = deadline::within(deadline, async {
        let address = address(request.extensions());
        match admitted(&service, &limits, address, request.uri().path(), request.headers()).await {
            Ok(actor) => {
                let caller = Caller { actor, address, user_agent: user_agent(request.headers()), request_id };
                request.extensions_mut().insert(caller);
                status::blame_sender(next.run(arrival::watched(request)).await)
            }
            Err(error) => status::of(error).into_http(),
        }
    });
    let mut response = match AssertUnwindSafe(call).catch_unwind().instrument(span.clone()).await {
        Ok(answer) => answer.unwrap_or_else(Status::into_http),
        Err(panic) => {
            let _inside = span.entered();
            status::of(Error::internal(format!("panic: {}", panic_text(panic.as_ref())))).into_http()
        }
    };
    let (code, took) = (code(response.headers()), start.elapsed());
    service.store.metrics().call(&path, status::code_name(code), took);
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    if direct {
        tracing::info!(method = path, ?code, duration_ms, %request_id, "call");
    } else {
        tracing::debug!(method = path, ?code, duration_ms, %request_id, "call");
    }
    if let Ok(value) = HeaderValue::try_from(request_id.to_string()) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// What an answer's head says. One without a code goes on, and may end otherwise.
fn code(headers: &HeaderMap) -> Code {
    headers.get("grpc-status").map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()))
}

/// Who calls, if they don't do so too often. Whoever has no good token is nobody from their address.
async fn admitted(
    service: &Service,
    limits: &RateLimits,
    address: Option<IpAddr>,
    method: &str,
    headers: &HeaderMap,
) -> Result<Actor> {
    let actor = actor(service, method, headers).await;
    if let Ok(actor) = &actor {
        limits.admit(actor, address, method, headers)?;
    } else if !DAEMON_METHODS.contains(&method) {
        limits.admit(&Actor::Anonymous, address, method, &HeaderMap::new())?;
    }
    actor
}

async fn actor(service: &Service, method: &str, headers: &HeaderMap) -> Result<Actor> {
    if PUBLIC_METHODS.contains(&method) {
        return Ok(Actor::Anonymous);
    }
    if DAEMON_METHODS.contains(&method) {
        let key = bearer(headers, Credential::KeyMissing, Credential::KeyMalformed)?;
        return service.provisioner_key_authenticate(key).await.map(Actor::Daemon);
    }
    let token = bearer(headers, Credential::Missing, Credential::Malformed)?;
    service.session_authenticate(token).await
}

/// The one token of a call. Two could be read as one here and as the other elsewhere, so they are none.
fn bearer(headers: &HeaderMap, missing: Credential, malformed: Credential) -> Result<&str> {
    let mut values = headers.get_all(http::header::AUTHORIZATION).iter();
    let value = values.next().ok_or(Error::Unauthenticated(missing))?;
    let malformed = || Error::Unauthenticated(malformed);
    if values.next().is_some() {
        return Err(malformed());
    }
    let (scheme, token) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(malformed)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token) } else { Err(malformed()) }
}

/// The one that the gateway of this process or a trusted peer gave, else a fresh one: what a peer writes into its metadata names no request
/// in our logs.
fn request_id(extensions: &http::Extensions) -> Uuid {
    extensions.get::<RequestId>().map_or_else(Uuid::now_v7, |id| id.0)
}

fn address(extensions: &http::Extensions) -> Option<IpAddr> {
    let trusted = extensions.get::<ClientAddress>().map(|address| address.0);
    trusted.or_else(|| extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip()))
}

/// What the client says that it is, or what it says to the gateway between us.
fn user_agent(headers: &HeaderMap) -> String {
    let agent = headers.get(CLIENT_AGENT).or_else(|| headers.get(http::header::USER_AGENT));
    let agent = agent.and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    agent[..agent.len().min(USER_AGENT)].to_owned()
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a text")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        values.iter().map(|v| (http::header::AUTHORIZATION, HeaderValue::from_str(v).unwrap())).collect()
    }

    #[test]
    fn a_call_has_one_bearer_token() {
        let read = |values: &[&str]| {
            bearer(&headers(values), Credential::Missing, Credential::Malformed).map(str::to_owned).map_err(|e| match e
            {
                Error::Unauthenticated(credential) => credential,
                other => panic!("{other}"),
            })
        };
        assert_eq!(read(&["Bearer a-b"]), Ok("a-b".to_owned()));
        assert_eq!(read(&["bearer a-b"]), Ok("a-b".to_owned()));
        assert_eq!(read(&[]), Err(Credential::Missing));
        for bad in [&["Bearer a", "Bearer a"][..], &["Bearer"], &["Basic YTpi"], &["a-b"], &["Bearer a", "Basic x"]] {
            assert_eq!(read(bad), Err(Credential::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn a_request_id_is_the_gateways_or_made() {
        let mut extensions = http::Extensions::new();
        assert_ne!(request_id(&extensions), request_id(&extensions));
        let id = Uuid::now_v7();
        extensions.insert(RequestId(id));
        assert_eq!(request_id(&extensions), id);
    }
}

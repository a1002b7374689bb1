//! What every handler knows of its request, and the calls that it makes on its behalf.

use std::fmt::Display;
use std::future::Future;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use axum::RequestPartsExt as _;
use axum::extract::{ConnectInfo, FromRequestParts, RawPathParams};
use http::header::USER_AGENT;
use http::request::Parts;
use orgplane_proto::context::{BYPASS_LIMITS, CLIENT_AGENT, ClientAddress, RequestId};
use tonic::Status;
use tonic::metadata::{Ascii, MetadataValue};
use uuid::Uuid;

use crate::error::Error;
use crate::query::Query;
use crate::{Gateway, auth};

/// A request without its body.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) query: Query,
    variables: Vec<(String, String)>,
    authorization: Option<MetadataValue<Ascii>>,
    request_id: RequestId,
    address: Option<ClientAddress>,
    agent: Option<MetadataValue<Ascii>>,
    bypass: Option<MetadataValue<Ascii>>,
    deadline: Duration,
}

impl FromRequestParts<Gateway> for Call {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, gateway: &Gateway) -> Result<Self, Error> {
        let query = Query::parse(parts.uri.query());
        let authorization = auth::authorization(parts, &query, gateway.options.https)?;
        let raw = parts.extract::<RawPathParams>().await;
        let raw = raw.map_err(|_| Error::bad_request("The path isn't valid UTF-8 text."))?;
        let variables: Vec<_> = raw.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        if variables.iter().any(|(_, value)| value.contains('\0')) {
            return Err(Error::bad_request("The path has a NUL character."));
        }
        let request_id = parts.extensions.get().copied().unwrap_or(RequestId(Uuid::nil()));
        let trusted = parts.extensions.get::<ClientAddress>().copied();
        let peer = || parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| ClientAddress(peer.0.ip()));
        let address = trusted.or_else(peer);
        let agent = parts.headers.get(USER_AGENT).and_then(|agent| agent.as_bytes().try_into().ok());
        let bypass = parts.headers.get(BYPASS_LIMITS).and_then(|value| value.as_bytes().try_into().ok());
        let deadline = gateway.options.timeout;
        Ok(Self { query, variables, authorization, request_id, address, agent, bypass, deadline })
    }
}

impl Call {
    /// Fills a field from the path.
    pub(crate) fn path<T: FromStr<Err: Display>>(&self, name: &str, into: &mut T) -> Result<(), Error> {
        let value = self.variables.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value);
        *into = value.parse().map_err(|fault: T::Err| {
            let message = format!("{value:?} in the path is not a valid {name}.");
            Error::bad_request(message).violation(name, fault.to_string())
        })?;
        Ok(())
    }

    /// A message to a service, with the caller's credentials and a deadline.
    pub(crate) fn request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = self.open_request(message);
        request.set_timeout(self.deadline);
        request
    }

    /// The same without a deadline, for streams of any length.
    pub(crate) fn open_request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        let metadata = request.metadata_mut();
        if let Some(authorization) = &self.authorization {
            metadata.insert("authorization", authorization.clone());
        }
        if let Some(agent) = &self.agent {
            metadata.insert(CLIENT_AGENT, agent.clone());
        }
        if let Some(bypass) = &self.bypass {
            metadata.insert(BYPASS_LIMITS, bypass.clone());
        }
        request.extensions_mut().insert(self.request_id);
        if let Some(address) = self.address {
            request.extensions_mut().insert(address);
        }
        request
    }

    /// Waits for the reply as long as the deadline allows. The services of this process don't watch it themselves.
    pub(crate) async fn unary<T>(
        &self,
        reply: impl Future<Output = Result<tonic::Response<T>, Status>>,
    ) -> Result<T, Error> {
        let reply = tokio::time::timeout(self.deadline, reply).await.map_err(|_| Error::deadline())?;
        Ok(reply?.into_inner())
    }

    /// For the log.
    pub(crate) fn id(&self) -> Uuid {
        self.request_id.0
    }

    /// How long a silence may last in a stream.
    pub(crate) fn patience(&self) -> Duration {
        self.deadline
    }
}

//! Trusted facts about a call's transport. They travel only as `http` extensions, set by the listener or by code of the
//! same process, and never through metadata, which any caller can set. Only from a gateway or a proxy that the listener was
//! told to trust are headers taken for them.

use std::net::IpAddr;

use http::HeaderName;
use uuid::Uuid;

/// The address that a call came from, as the listener saw it or as a trusted proxy told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddress(pub IpAddr);

/// The id under which the gateway of this process logs and answers the request that a call is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(pub Uuid);

/// The header in which a trusted proxy names its client.
pub const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The header in which a gateway passes on what its client says that it is.
pub const CLIENT_AGENT: &str = "x-client-agent";

/// The header with which owners of the site pass the limits on how often something is called.
pub const BYPASS_LIMITS: &str = "x-coder-bypass-ratelimit";

/// The header in which a trusted proxy gives a request its id, and in which answers to calls tell it.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

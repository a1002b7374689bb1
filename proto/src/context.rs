//! Trusted facts about a call's transport. They travel only as `http` extensions, set by the listener or by code of the
//! same process, and never through metadata, which any caller can set.

use std::net::IpAddr;

use uuid::Uuid;

/// The address that a call came from, as the listener saw it or as a trusted proxy told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddress(pub IpAddr);

/// The id under which the gateway of this process logs and answers the request that a call is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(pub Uuid);

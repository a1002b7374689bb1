//! Trusted facts about a call's transport. They travel only as `http` extensions, set by the listener or by code of the
//! same process, and never through metadata, which any caller can set.

use std::net::IpAddr;

/// The address that a call came from, as the listener saw it or as a trusted proxy told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddress(pub IpAddr);

//! What proxies in front of a listener say of their clients, and whom to believe.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use http::HeaderMap;
use ipnet::IpNet;
use orgplane_proto::context::{ClientAddress, FORWARDED_FOR, REQUEST_ID, RequestId};
use uuid::Uuid;

/// The addresses whose word counts. By default nobody's does.
#[derive(Debug, Clone, Default)]
pub(crate) struct TrustedProxies(Arc<[IpNet]>);

impl FromStr for TrustedProxies {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let network = |part: &str| {
            let address = part.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
            address.or_else(|_| part.parse()).map_err(|_| format!("{part:?} is neither an IP address nor a network"))
        };
        Ok(Self(parts.map(network).collect::<Result<_, _>>()?))
    }
}

impl TrustedProxies {
    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The client of a request from this peer: each proxy names whom it heard, the last one at the end, and only the words
    /// of trusted ones count.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> ClientAddress {
        let mut client = peer.to_canonical();
        let lines = headers.get_all(FORWARDED_FOR).into_iter().rev();
        let mut named = lines.flat_map(|line| line.to_str().unwrap_or("?").rsplit(','));
        while self.trusts(client) {
            let Some(next) = named.next().and_then(parse) else { break };
            client = next;
        }
        ClientAddress(client)
    }

    /// The id that a trusted peer, such as a gateway, gave to the request.
    pub(crate) fn request_id(&self, peer: IpAddr, headers: &HeaderMap) -> Option<RequestId> {
        let given = headers.get(REQUEST_ID).filter(|_| self.trusts(peer.to_canonical()))?;
        given.to_str().ok()?.parse::<Uuid>().ok().map(RequestId)
    }
}

/// Some proxies add the port.
fn parse(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let address = bare.or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
    address.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn client(trusted: &str, peer: &str, forwarded: &[&str]) -> String {
        let lines = forwarded.iter().map(|line| (FORWARDED_FOR, HeaderValue::from_str(line).unwrap()));
        let trusted: TrustedProxies = trusted.parse().unwrap();
        trusted.client(peer.parse().unwrap(), &lines.collect()).0.to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        for (trusted, peer, forwarded, is) in [
            ("", "10.0.0.1", &["1.2.3.4"][..], "10.0.0.1"),
            ("10.0.0.0/8", "10.0.0.1", &["1.2.3.4"], "1.2.3.4"),
            ("10.0.0.0/8", "192.0.2.1", &["1.2.3.4"], "192.0.2.1"),
            // The client wrote the first itself.
            ("10.0.0.0/8", "10.0.0.1", &["6.6.6.6, 1.2.3.4"], "1.2.3.4"),
            ("10.0.0.0/8", "10.0.0.1", &["6.6.6.6", "1.2.3.4, 10.0.0.2"], "1.2.3.4"),
            ("10.0.0.0/8", "10.0.0.1", &["6.6.6.6, nonsense, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.0/8", "10.0.0.1", &["10.0.0.3"], "10.0.0.3"),
            ("10.0.0.0/8", "10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1, ::1", "::ffff:10.0.0.1", &["[2001:db8::1]:443"], "2001:db8::1"),
            ("::1", "::1", &["1.2.3.4:5678"], "1.2.3.4"),
        ] {
            assert_eq!(client(trusted, peer, forwarded), is, "{trusted} {peer} {forwarded:?}");
        }
        assert!("10.0.0.0/33".parse::<TrustedProxies>().is_err() && "x".parse::<TrustedProxies>().is_err());
    }

    #[test]
    fn request_ids_are_taken_from_trusted_peers_only() {
        let id = Uuid::now_v7();
        let headers = HeaderMap::from_iter([(REQUEST_ID, HeaderValue::try_from(id.to_string()).unwrap())]);
        let trusted: TrustedProxies = "10.0.0.1".parse().unwrap();
        assert_eq!(trusted.request_id("10.0.0.1".parse().unwrap(), &headers), Some(RequestId(id)));
        assert_eq!(trusted.request_id("10.0.0.2".parse().unwrap(), &headers), None);
    }
}

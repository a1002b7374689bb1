//! Where plaintext may go: without TLS, nothing leaves the machine unless the operator says so.

use std::net::IpAddr;

use anyhow::Result;
use http::Uri;

use crate::error::Usage;

/// Parses a server's URL, given by a flag: `http(s)://host[:port]`, nothing behind it.
pub(crate) fn parse(flag: &str, url: &str) -> Result<Uri> {
    let wrong = |rule: &str| Usage::new(format!("{flag}: {url:?} {rule}; give it as http(s)://host[:port]"));
    let uri: Uri = url.trim_end_matches('/').parse().map_err(|_| wrong("is not a URL"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(wrong("doesn't begin with http:// or https://").into());
    }
    if uri.host().is_none_or(str::is_empty) || !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        return Err(wrong("has more or less than a host and a port").into());
    }
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(Usage::new(format!("{flag}: must not carry credentials")).into());
    }
    Ok(uri)
}

/// Refuses an `http://` URL beyond loopback unless the operator allows it.
pub(crate) fn check_plaintext(uri: &Uri, insecure_plaintext: bool) -> Result<()> {
    if uri.scheme_str() == Some("https") || insecure_plaintext || uri.host().is_some_and(is_loopback) {
        return Ok(());
    }
    Err(Usage::new(format!(
        "use https, or add --insecure-plaintext: {uri} would send credentials unencrypted over the network"
    ))
    .into())
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_free() {
        for url in ["http://127.0.0.1:3000", "http://localhost", "http://[::1]:80", "https://example.com"] {
            check_plaintext(&parse("--url", url).unwrap(), false).unwrap();
        }
        for url in ["http://10.0.0.1:3000", "http://example.com/", "http://localhost.example.com", "http://[2001::1]"] {
            let uri = parse("--url", url).unwrap();
            assert!(check_plaintext(&uri, false).is_err(), "{url}");
            check_plaintext(&uri, true).unwrap();
        }
    }

    #[test]
    fn malformed_urls_are_usage_errors() {
        for url in
            ["", "example.com", "ftp://x", "http://", "http://x/path", "http://x?y=1", "http://u:p@x", "http://a b"]
        {
            let error = parse("--url", url).unwrap_err();
            assert!(error.downcast_ref::<Usage>().is_some(), "{url}");
            assert!(!error.to_string().contains(":p@"), "{error}");
        }
    }
}

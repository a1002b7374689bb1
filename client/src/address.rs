//! Where plaintext may go: without TLS, nothing leaves the machine unless the operator says so.

use std::net::IpAddr;

use http::Uri;

use crate::Setting;

/// Parses a server's URL, given by a flag: `http(s)://host[:port]`, nothing behind it.
///
/// # Errors
/// When it isn't one; credentials in it aren't repeated.
pub fn parse(flag: &'static str, url: &str) -> Result<Uri, Setting> {
    if url.contains('@') {
        return Err(Setting::new(flag, "must not carry credentials"));
    }
    let wrong = |rule: &str| Setting::new(flag, format!("{url:?} {rule}; give it as http(s)://host[:port]"));
    let uri: Uri = url.trim_end_matches('/').parse().map_err(|_| wrong("is not a URL"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(wrong("doesn't begin with http:// or https://"));
    }
    if uri.host().is_none_or(str::is_empty) || !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        return Err(wrong("has more or less than a host and a port"));
    }
    Ok(uri)
}

/// Refuses an `http://` URL beyond loopback unless the operator allows it.
///
/// # Errors
/// Says what to do instead.
pub fn check_plaintext(uri: &Uri, insecure_plaintext: bool) -> Result<(), Setting> {
    if is_https(uri) || insecure_plaintext || uri.host().is_some_and(is_loopback) {
        return Ok(());
    }
    let rule =
        format!("use https, or add --insecure-plaintext: {uri} would send credentials unencrypted over the network");
    Err(Setting::new("--url", rule))
}

/// Whether TLS is spoken there.
#[must_use]
pub fn is_https(uri: &Uri) -> bool {
    uri.scheme_str() == Some("https")
}

/// Whether a URL's host is this machine.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
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
            let error = check_plaintext(&uri, false).unwrap_err().to_string();
            assert!(error.contains("--insecure-plaintext") && error.contains("https"), "{error}");
            check_plaintext(&uri, true).unwrap();
        }
    }

    #[test]
    fn malformed_urls_are_named() {
        for url in
            ["", "example.com", "ftp://x", "http://", "http://x/path", "http://x?y=1", "http://u:p@x", "http://a b"]
        {
            let error = parse("--url", url).unwrap_err().to_string();
            assert!(error.starts_with("--url: ") && !error.contains(":p@"), "{error}");
        }
    }
}

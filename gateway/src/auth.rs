//! Where a request's token stands, and when a browser may be using it on someone else's behalf. Whether a token is valid
//! is for the control plane to say.

use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, header};
use tonic::metadata::{Ascii, MetadataValue};

use crate::error::Error;
use crate::query::{ACCESS_TOKEN, Query, SESSION_TOKEN};

const SESSION_HEADER: &str = "coder-session-token";
const CSRF_HEADER: &str = "x-csrf-token";
const FETCH_SITE_HEADER: &str = "sec-fetch-site";
const LONGEST_TOKEN: usize = 256;

/// The `authorization` metadata for a request, if it carries a token.
///
/// # Errors
/// 403 when the request could do something, and a browser may be sending it for another site.
pub(crate) fn authorization(parts: &Parts, query: &Query, https: bool) -> Result<Option<MetadataValue<Ascii>>, Error> {
    let headers = &parts.headers;
    let (cookie, in_header, in_query) = (cookie(headers), header_token(headers), query_token(query));
    let safe = [Method::GET, Method::HEAD, Method::OPTIONS].contains(&parts.method);
    let meant = match (in_header, cookie) {
        // Neither another site's form nor its script can set these headers.
        (Some(_), _) => true,
        // Who knows the token needs no browser that has it.
        (None, Some(cookie)) if in_query.contains(&Some(cookie)) => true,
        (None, Some(_)) => (safe && !is_websocket(headers)) || same_origin(parts, https),
        // It might sign the browser in as somebody else, or make the first user of a server that only it can reach.
        (None, None) => safe || !from_another_site(parts, https),
    };
    if !meant {
        return Err(refused(cookie.is_some()));
    }
    let [session, access] = in_query;
    let Some(token) = cookie.or(session).or(in_header).or(access) else { return Ok(None) };
    // No valid token is that long or has other characters: what can't travel is replaced by what can't be valid.
    let sendable = token.len() <= LONGEST_TOKEN && token.bytes().all(|b| b.is_ascii_graphic());
    let bearer = format!("Bearer {}", if sendable { token } else { "malformed" });
    let mut value: MetadataValue<Ascii> = bearer.parse().map_err(Error::internal)?;
    value.set_sensitive(true);
    Ok(Some(value))
}

fn refused(cookie: bool) -> Error {
    let detail = if cookie {
        "A request with a session cookie must come from this site: it needs a matching Origin header, or an X-CSRF-TOKEN \
         header when the client sends no Origin. Or send the token in the Coder-Session-Token header."
    } else {
        "Its Origin or Sec-Fetch-Site header names another site. Programs that aren't browsers need neither."
    };
    Error::new(StatusCode::FORBIDDEN, "The request may have been made by another site.").detail(detail).challenge()
}

fn header_token(headers: &HeaderMap) -> Option<&str> {
    // Two could be read as one here and as the other elsewhere: together they are one that is never valid.
    if [SESSION_HEADER, header::AUTHORIZATION.as_str()].iter().any(|name| headers.get_all(*name).iter().count() > 1) {
        return Some("two tokens");
    }
    let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).filter(|v| !v.is_empty());
    header(SESSION_HEADER).or_else(|| header(header::AUTHORIZATION.as_str()).and_then(bearer))
}

fn query_token(query: &Query) -> [Option<&str>; 2] {
    [query.get(SESSION_TOKEN), query.get(ACCESS_TOKEN)]
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(header::COOKIE).into_iter().filter_map(|v| v.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| *name == SESSION_TOKEN).map(|(_, v)| v.trim_matches('"')).find(|v| !v.is_empty())
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

fn is_websocket(headers: &HeaderMap) -> bool {
    let upgrades = headers.get_all(header::UPGRADE).into_iter().filter_map(|v| v.to_str().ok());
    upgrades.flat_map(|v| v.split(',')).any(|v| v.trim().eq_ignore_ascii_case("websocket"))
}

/// Browsers name the origin of every unsafe request. Without any word from a browser only a header that other sites'
/// forms can't set shows that the request is meant.
fn same_origin(parts: &Parts, https: bool) -> bool {
    let headers = &parts.headers;
    let fetch_site = headers.get(FETCH_SITE_HEADER).map(|v| v.as_bytes());
    let origin = headers.get(header::ORIGIN);
    match (fetch_site, origin) {
        (Some(b"same-origin" | b"none"), _) => true,
        (_, Some(origin)) => origin.to_str().is_ok_and(|origin| is_own(origin, parts, https)),
        (Some(_), None) => false,
        (None, None) => headers.contains_key(CSRF_HEADER),
    }
}

/// Whether a browser says so. Requests without a word from one pass: they carry nothing that a browser adds by itself.
fn from_another_site(parts: &Parts, https: bool) -> bool {
    let headers = &parts.headers;
    match headers.get(FETCH_SITE_HEADER) {
        Some(site) => !matches!(site.as_bytes(), b"same-origin" | b"none"),
        None => {
            headers.get(header::ORIGIN).is_some_and(|origin| !origin.to_str().is_ok_and(|o| is_own(o, parts, https)))
        }
    }
}

fn is_own(origin: &str, parts: &Parts, https: bool) -> bool {
    let (scheme, port) = if https { ("https", ":443") } else { ("http", ":80") };
    let host = parts.headers.get(header::HOST).and_then(|v| v.to_str().ok());
    let Some(host) = host.or_else(|| parts.uri.authority().map(|a| a.as_str())) else { return false };
    let Some((origin_scheme, origin_host)) = origin.split_once("://") else { return false };
    let bare = |host: &str| host.strip_suffix(port).unwrap_or(host).to_ascii_lowercase();
    origin_scheme.eq_ignore_ascii_case(scheme) && bare(origin_host) == bare(host)
}

#[cfg(test)]
#[path = "auth_tests.rs"]
mod tests;

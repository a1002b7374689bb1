//! Where a request's token stands, and when a browser may be using it on someone else's behalf. Whether a token is valid
//! is for the control plane to say.

use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, header};
use tonic::metadata::{Ascii, MetadataValue};

use crate::error::Error;
use crate::query::Query;

/// The cookie and the query parameter that carry a session token.
pub(crate) const SESSION_TOKEN: &str = "coder_session_token";
/// The query parameter of OAuth 2 clients.
pub(crate) const ACCESS_TOKEN: &str = "access_token";
const SESSION_HEADER: &str = "coder-session-token";
const CSRF_HEADER: &str = "x-csrf-token";
const FETCH_SITE_HEADER: &str = "sec-fetch-site";
const LONGEST_TOKEN: usize = 256;

#[derive(Debug, PartialEq)]
enum Token {
    Cookie(String),
    Other(String),
}

/// The `authorization` metadata for a request, if it carries a token.
///
/// # Errors
/// 403 when the token is a cookie's, the request could do something, and it may come from another site.
pub(crate) fn authorization(parts: &Parts, query: &Query, https: bool) -> Result<Option<MetadataValue<Ascii>>, Error> {
    let token = match token(&parts.headers, query) {
        None => return Ok(None),
        Some(Token::Other(token)) => token,
        Some(Token::Cookie(token)) => {
            let safe = [Method::GET, Method::HEAD, Method::OPTIONS].contains(&parts.method);
            if (!safe || is_websocket(&parts.headers)) && !same_origin(parts, https) {
                let detail = "A request with a session cookie must come from this site: it needs a matching Origin \
                              header, or an X-CSRF-TOKEN header when the client sends no Origin. Or send the token \
                              in the Coder-Session-Token header.";
                let message = "The request may have been made by another site.";
                return Err(Error::new(StatusCode::FORBIDDEN, message).detail(detail).challenge());
            }
            token
        }
    };
    // No valid token is that long or has other characters: what can't travel is replaced by what can't be valid.
    let sendable = token.len() <= LONGEST_TOKEN && token.bytes().all(|b| b.is_ascii_graphic());
    let bearer = format!("Bearer {}", if sendable { token.as_str() } else { "malformed" });
    let mut value: MetadataValue<Ascii> = bearer.parse().map_err(Error::internal)?;
    value.set_sensitive(true);
    Ok(Some(value))
}

fn token(headers: &HeaderMap, query: &Query) -> Option<Token> {
    let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).filter(|v| !v.is_empty());
    let other = |token: &str| Some(Token::Other(token.to_owned()));
    if let Some(token) = cookie(headers) {
        return Some(Token::Cookie(token.to_owned()));
    }
    query
        .get(SESSION_TOKEN)
        .or_else(|| header(SESSION_HEADER))
        .or_else(|| header(header::AUTHORIZATION.as_str()).and_then(bearer))
        .or_else(|| query.get(ACCESS_TOKEN))
        .and_then(other)
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

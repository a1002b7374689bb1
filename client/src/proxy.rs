//! Proxies of the environment, and tunnels through them. gRPC is never sent to a proxy in the open: also for `http://`
//! URLs the proxy only gets a CONNECT.

use bytes::Bytes;
use http::{Method, Request, StatusCode, Uri, header};
use http_body_util::Empty;
use hyper::upgrade::Upgraded;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;

use crate::error::Fault;
use crate::io::Io;
use crate::{Setting, address};

/// Pairs of names that mean the same; the first that is set counts.
const ALL: [&str; 2] = ["ALL_PROXY", "all_proxy"];
const HTTPS: [&str; 2] = ["HTTPS_PROXY", "https_proxy"];
const HTTP: [&str; 2] = ["HTTP_PROXY", "http_proxy"];
const NONE: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// Which proxies stand before which servers. The default has none. Passwords aren't shown.
#[derive(Debug, Clone, Default)]
pub struct Proxies(Option<std::sync::Arc<Matcher>>);

impl Proxies {
    /// As `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` say, in upper or lower case.
    ///
    /// # Errors
    /// When one of them is no proxy's URL, or the proxy is of a kind that isn't supported.
    pub fn from_env() -> Result<Self, Setting> {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Setting> {
        let find = |names: [&'static str; 2]| {
            names.into_iter().find_map(|name| Some((name, lookup(name).filter(|value| !value.is_empty())?)))
        };
        let checked = |names| {
            let Some((name, value)) = find(names) else { return Ok(String::new()) };
            check(name, &value).map(|()| value)
        };
        let (all, https, http) = (checked(ALL)?, checked(HTTPS)?, checked(HTTP)?);
        let none = find(NONE).map(|(_, value)| value).unwrap_or_default();
        let matcher = Matcher::builder().all(all).https(https).http(http).no(none).build();
        Ok(Self(Some(matcher.into())))
    }

    /// The proxy before a server. There is none before this machine.
    pub(crate) fn before(&self, server: &Uri) -> Option<Intercept> {
        if server.host().is_some_and(address::is_loopback) {
            return None;
        }
        self.0.as_ref()?.intercept(server)
    }
}

/// What can't be understood must not mean that there is no proxy. Its text may hold a password.
fn check(name: &'static str, value: &str) -> Result<(), Setting> {
    let any = Uri::from_static("https://orgplane.example.com");
    match Matcher::builder().all(value).build().intercept(&any) {
        Some(proxy) if matches!(proxy.uri().scheme_str(), Some("http" | "https")) => Ok(()),
        Some(_) => Err(Setting::new(name, "only http:// and https:// proxies are supported")),
        None => Err(Setting::new(name, "is not the URL of a proxy, such as http://user:password@proxy.internal:3128")),
    }
}

/// Asks a proxy for a connection to the server.
pub(crate) async fn tunnel(io: Box<dyn Io>, proxy: &Intercept, server: &Uri) -> Result<Upgraded, Fault> {
    let name = proxy.uri().authority().map_or("", |authority| authority.as_str());
    let failed = |error: hyper::Error| Fault(format!("the proxy {name} doesn't answer: {error}"));
    let host = server.host().unwrap_or_default();
    let port = server.port_u16().unwrap_or(if address::is_https(server) { 443 } else { 80 });
    let target = format!("{host}:{port}");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io)).await.map_err(failed)?;
    // Ends with the tunnel.
    tokio::spawn(connection.with_upgrades());

    let mut request = Request::builder().method(Method::CONNECT).uri(&target).header(header::HOST, &target);
    if let Some(auth) = proxy.basic_auth() {
        request = request.header(header::PROXY_AUTHORIZATION, auth);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| Fault(format!("{target}: {error}")))?;
    let response = sender.send_request(request).await.map_err(failed)?;
    match response.status() {
        status if status.is_success() => hyper::upgrade::on(response).await.map_err(failed),
        StatusCode::PROXY_AUTHENTICATION_REQUIRED if proxy.basic_auth().is_some() => {
            Err(Fault(format!("the proxy {name} doesn't take the user and password of its URL (407)")))
        }
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => Err(Fault(format!(
            "the proxy {name} asks for a user and a password (407); put them into its URL, http://user:password@host:port"
        ))),
        status => Err(Fault(format!("the proxy {name} gives no way to {target}: {status}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Result<Proxies, Setting> {
        Proxies::from_lookup(|name| {
            variables.iter().find(|(given, _)| *given == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_environment_says_which_proxy() {
        let before = |variables: &[(&str, &str)], url: &str| {
            let proxy = proxies(variables).unwrap().before(&url.parse().unwrap());
            proxy.map(|proxy| proxy.uri().authority().unwrap().to_string())
        };
        let (https, http) = (("HTTPS_PROXY", "http://a:1"), ("http_proxy", "b:2"));
        assert_eq!(before(&[https, http], "https://example.com").as_deref(), Some("a:1"));
        assert_eq!(before(&[https, http], "http://example.com").as_deref(), Some("b:2"));
        assert_eq!(before(&[("all_proxy", "http://u:p@c:3")], "https://example.com").as_deref(), Some("c:3"));
        assert_eq!(before(&[("all_proxy", "c:3"), https], "https://example.com").as_deref(), Some("a:1"));
        for never in ["https://localhost:3000", "https://127.0.0.1", "https://[::1]:1"] {
            assert_eq!(before(&[https], never), None, "{never}");
        }
        let none = ("NO_PROXY", "example.com,10.0.0.0/8");
        for never in ["https://example.com", "https://a.example.com", "https://10.1.2.3"] {
            assert_eq!(before(&[https, none], never), None, "{never}");
        }
        assert!(before(&[https, none], "https://example.org").is_some());
        assert_eq!(before(&[], "https://example.com"), None);
        assert_eq!(before(&[("HTTPS_PROXY", ""), ("https_proxy", "d:4")], "https://x.com").as_deref(), Some("d:4"));
    }

    #[test]
    fn what_is_no_proxy_is_refused_without_being_repeated() {
        for (value, says) in
            [("socks5://u:secret@x:1", "supported"), ("ht tp://secret", "URL"), ("file:///secret", "URL")]
        {
            let error = proxies(&[("HTTPS_PROXY", value)]).unwrap_err().to_string();
            assert!(error.starts_with("HTTPS_PROXY") && error.contains(says) && !error.contains("secret"), "{error}");
        }
        assert!(!format!("{:?}", proxies(&[("HTTPS_PROXY", "http://u:secret@x")]).unwrap()).contains("secret"));
    }
}

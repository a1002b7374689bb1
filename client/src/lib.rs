//! The way to a control plane, once for all that call one: daemon, command line and gateway.
//!
//! ```text
//! address    which URLs are servers' addresses, and when plaintext may be used
//! headers    headers that the operator adds to each call
//! proxy      proxies of the environment, and tunnels through them
//! trust      which certificates are accepted, and which one is shown
//! peer       what speaks at the other end, when it isn't a server
//! connect    one connection: socket, tunnel, TLS
//! transport  what generated clients call through
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod address;
mod connect;
mod error;
mod headers;
mod io;
mod peer;
mod proxy;
mod transport;
mod trust;

use std::path::PathBuf;
use std::time::Duration;

use tonic::transport::Endpoint;

pub use error::{Setting, Unreachable, causes};
pub use headers::{Header, Headers};
pub use proxy::Proxies;
pub use transport::Transport;
pub use trust::Tls;

use crate::connect::Connector;

/// For the socket, the tunnel and TLS together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a control plane is and how it is reached.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `http(s)://host[:port]`.
    pub url: String,
    /// Whether `http://` may be used beyond this machine.
    pub insecure_plaintext: bool,
    /// Certificates.
    pub tls: Tls,
    /// Headers of every call.
    pub headers: Vec<Header>,
    /// A file with more of them, one `Name=Value` a line; read for each [`Remote::connect`].
    pub header_file: Option<PathBuf>,
    /// Proxies on the way.
    pub proxies: Proxies,
}

/// A control plane that can be connected to.
#[derive(Debug, Clone)]
pub struct Remote {
    endpoint: Endpoint,
    connector: Connector,
    headers: Headers,
    header_file: Option<PathBuf>,
}

impl Remote {
    /// Checks every setting; nothing is connected yet. `user_agent` is what the server is told of this
    /// program; `adjust` sets timeouts, keep-alive and the like.
    ///
    /// # Errors
    /// [`Setting`], which names the flag that sets what is wrong.
    pub fn new(
        options: &Options,
        user_agent: &'static str,
        adjust: impl FnOnce(Endpoint) -> Endpoint,
    ) -> Result<Self, Setting> {
        let uri = address::parse("--url", &options.url)?;
        address::check_plaintext(&uri, options.insecure_plaintext)?;
        let headers = Headers::new(&options.headers)?;
        let connector = Connector::new(&uri, &options.tls, &options.proxies)?;
        let endpoint = Endpoint::from(uri).user_agent(user_agent);
        let endpoint = endpoint.map_err(|error| Setting::new("user-agent", error.to_string()))?;
        let endpoint = endpoint.connect_timeout(CONNECT_TIMEOUT).tcp_nodelay(true);
        let remote = Self { endpoint: adjust(endpoint), connector, headers, header_file: options.header_file.clone() };
        remote.headers()?;
        Ok(remote)
    }

    /// A fresh connection; when it breaks, the next call makes another one.
    ///
    /// # Errors
    /// [`Unreachable`] with the cause.
    pub async fn connect(&self) -> Result<Transport, Unreachable> {
        let headers = self.headers().map_err(|error| Unreachable(error.to_string()))?;
        let channel = self.endpoint.connect_with_connector(self.connector.clone()).await;
        let channel = channel.map_err(|error| Unreachable(causes(&error)))?;
        Ok(Transport::new(channel, headers, self.connector.last_fault()))
    }

    /// The same, connecting at the first call.
    ///
    /// # Errors
    /// When the header file can't be used any more.
    pub fn connect_lazy(&self) -> Result<Transport, Setting> {
        let channel = self.endpoint.connect_with_connector_lazy(self.connector.clone());
        Ok(Transport::new(channel, self.headers()?, self.connector.last_fault()))
    }

    fn headers(&self) -> Result<Headers, Setting> {
        match &self.header_file {
            Some(file) => self.headers.with_file(file),
            None => Ok(self.headers.clone()),
        }
    }
}

//! One connection: the socket, the tunnel through a proxy, TLS.

use std::sync::Arc;
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower::Service;

use crate::error::{Fault, causes};
use crate::io::Io;
use crate::peer::{LastFault, Peer};
use crate::proxy::{Proxies, tunnel};
use crate::trust::{self, Tls, Trust};
use crate::{Setting, address};

type Connecting = std::pin::Pin<Box<dyn Future<Output = Result<TokioIo<Peer>, Fault>> + Send>>;

/// Makes connections to one server.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    tcp: HttpConnector,
    proxies: Proxies,
    /// There where TLS is spoken with the server or with the proxy before it.
    trust: Option<Arc<Trust>>,
    last_fault: LastFault,
}

impl Connector {
    pub(crate) fn new(server: &Uri, tls: &Tls, proxies: &Proxies) -> Result<Self, Setting> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let secure_proxy = proxies.before(server).is_some_and(|proxy| address::is_https(proxy.uri()));
        let trust = (address::is_https(server) || secure_proxy).then(|| Trust::new(tls)).transpose()?;
        Ok(Self { tcp, proxies: proxies.clone(), trust: trust.map(Arc::new), last_fault: LastFault::default() })
    }

    pub(crate) fn last_fault(&self) -> LastFault {
        self.last_fault.clone()
    }

    async fn connect(mut self, server: Uri) -> Result<TokioIo<Peer>, Fault> {
        self.last_fault.set(None);
        let name = server.authority().map_or_else(String::new, ToString::to_string);
        let mut io: Box<dyn Io> = match self.proxies.before(&server) {
            None => Box::new(self.socket(&server).await?),
            Some(proxy) => {
                let named = |fault: Fault| Fault(format!("through the proxy {}: {}", proxy.uri(), fault.0));
                let socket = self.socket(proxy.uri()).await.map_err(named)?;
                let io: Box<dyn Io> = if address::is_https(proxy.uri()) {
                    Box::new(self.tls(socket, proxy.uri(), b"http/1.1").await.map_err(named)?)
                } else {
                    Box::new(socket)
                };
                Box::new(TokioIo::new(tunnel(io, &proxy, &server).await?))
            }
        };
        if address::is_https(&server) {
            let stream = self.tls(io, &server, b"h2").await?;
            if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
                return Err(trust::no_http2(&name));
            }
            io = Box::new(stream);
        }
        Ok(TokioIo::new(Peer::new(io, &name, self.last_fault)))
    }

    async fn socket(&mut self, uri: &Uri) -> Result<TcpStream, Fault> {
        let socket = self.tcp.call(uri.clone()).await;
        socket.map(TokioIo::into_inner).map_err(|error| Fault(causes(&error)))
    }

    async fn tls<T: Io>(&self, io: T, uri: &Uri, protocol: &[u8]) -> Result<TlsStream<T>, Fault> {
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        let odd = || Fault(format!("{host} is not a name that a certificate can have"));
        let name = ServerName::try_from(host.clone()).map_err(|_| odd())?;
        let trust = self.trust.as_ref().ok_or_else(odd)?;
        let config = trust.config(protocol).map_err(|error| Fault(error.to_string()))?;
        TlsConnector::from(config).connect(name, io).await.map_err(|error| {
            match error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>()) {
                Some(error) => trust::meaning(error, &host),
                None => Fault(format!("no TLS with {host}: {error}")),
            }
        })
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Peer>;
    type Error = Fault;
    type Future = Connecting;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, server: Uri) -> Connecting {
        Box::pin(self.clone().connect(server))
    }
}

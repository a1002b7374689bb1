//! One listener for everything: HTTP/1.1 and HTTP/2, with TLS or without it (h2c), gRPC and REST told apart by path.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::Response;
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::forwarded::TrustedProxies;
use crate::limits;
use crate::taking::Taking;
use crate::tls::Certificate;

const MAX_HEADER_BYTES: usize = 64 * 1024;
const MAX_STREAMS: u32 = 256;
/// Bytes of one stream that wait to be taken; with [`MAX_STREAMS`], what a connection that takes nothing costs.
const MAX_WAITING: usize = 64 * 1024;
/// A new connection that hasn't said what it wants for so long is closed.
const PATIENCE: Duration = Duration::from_secs(15);
/// From an answer to the whole head of the next request over HTTP/1.1: longer than proxies keep unused connections, most for
/// a minute. One that closed first would lose requests that are on their way.
const KEPT: Duration = Duration::from_secs(75);
/// For a refused client to read why.
const LINGER: Duration = Duration::from_secs(1);
const KEEP_ALIVE: Duration = Duration::from_secs(20);
const PAUSE_AFTER_ACCEPT_ERROR: Duration = Duration::from_millis(100);

/// What is served: requests for gRPC services go to the one, all others to the other.
#[derive(Debug, Clone)]
pub(crate) struct Routers {
    pub(crate) grpc: Router,
    pub(crate) http: Router,
    pub(crate) trusted: TrustedProxies,
}

impl Routers {
    async fn answer(self, peer: SocketAddr, request: Request<Incoming>) -> Result<Response, Infallible> {
        let mut request = request.map(Body::new);
        let client = self.trusted.client(peer.ip(), request.headers());
        let id = self.trusted.request_id(peer.ip(), request.headers());
        request.extensions_mut().insert(client);
        if let Some(id) = id {
            request.extensions_mut().insert(id);
        }
        request.extensions_mut().insert(ConnectInfo(peer));
        let router = if request.uri().path().starts_with("/orgplane.") { self.grpc } else { self.http };
        router.oneshot(request).await
    }
}

/// Connections that are being served.
#[derive(Default)]
pub(crate) struct Connections {
    graceful: GracefulShutdown,
    abort: CancellationToken,
}

impl Connections {
    /// Accepts until told to stop. The listener is closed then; connections live on until [`Self::drain`].
    pub(crate) async fn accept(
        &self,
        listener: TcpListener,
        certificate: Option<&Certificate>,
        routers: Routers,
        stop: &CancellationToken,
    ) {
        let renewal = async {
            match certificate {
                Some(certificate) => certificate.renew().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.serve(listener, certificate, routers) => {}
            () = renewal => {}
            () = stop.cancelled() => {}
        }
    }

    async fn serve(&self, listener: TcpListener, certificate: Option<&Certificate>, routers: Routers) {
        // More wait in the system's queue.
        let free = Arc::new(Semaphore::new(limits::connections()));
        let builder = builder();
        loop {
            let Some((stream, peer, permit)) = accept(&listener, &free).await else { continue };
            let tls = certificate.map(Certificate::acceptor);
            let (routers, builder) = (routers.clone(), builder.clone());
            let (watcher, abort) = (self.graceful.watcher(), self.abort.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = abort.cancelled() => {}
                    () = connection(stream, peer, tls, routers, builder, watcher) => {}
                }
                drop(permit);
            });
        }
    }

    /// Lets calls end, for at most so long.
    pub(crate) async fn drain(self, patience: Duration) {
        if timeout(patience, self.graceful.shutdown()).await.is_err() {
            tracing::warn!("some calls took too long to end and were cut off");
        }
        self.abort.cancel();
    }
}

type Accepted = (TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit);

async fn accept(listener: &TcpListener, free: &Arc<Semaphore>) -> Option<Accepted> {
    let permit = free.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, permit)),
        Err(error) => {
            // Such as no file descriptor left: others may end soon.
            tracing::warn!(%error, "can't accept a connection");
            sleep(PAUSE_AFTER_ACCEPT_ERROR).await;
            None
        }
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(KEPT).max_buf_size(MAX_HEADER_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADER_BYTES as u32)
        .max_send_buf_size(MAX_WAITING)
        .adaptive_window(true);
    builder
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    routers: Routers,
    builder: Builder<TokioExecutor>,
    watcher: Watcher,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, %peer, "can't set TCP_NODELAY");
    }
    let stream = Taking::new(stream);
    let Some(tls) = tls else { return exchange(stream, peer, routers, builder, watcher).await };
    match timeout(PATIENCE, tls.accept(stream).into_fallible()).await {
        Ok(Ok(stream)) => exchange(stream, peer, routers, builder, watcher).await,
        Ok(Err((error, stream))) => {
            tracing::debug!(%error, %peer, "no TLS");
            linger(stream).await;
        }
        Err(_) => {}
    }
}

/// Reads on for a moment: a connection that is closed over unread words takes our last one, which says why, along.
async fn linger(mut stream: Taking<TcpStream>) {
    let _ = stream.shutdown().await;
    let _ = timeout(LINGER, tokio::io::copy(&mut stream.take(MAX_HEADER_BYTES as u64), &mut tokio::io::sink())).await;
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    peer: SocketAddr,
    routers: Routers,
    builder: Builder<TokioExecutor>,
    watcher: Watcher,
) {
    // Until its first request, nothing else bounds a connection: the protocol may not even be known.
    let asked = Arc::new(AtomicBool::new(false));
    let asks = Arc::clone(&asked);
    let service = tower::service_fn(move |request| {
        asks.store(true, Ordering::Relaxed);
        routers.clone().answer(peer, request)
    });
    let silence = async {
        sleep(PATIENCE).await;
        if asked.load(Ordering::Relaxed) {
            std::future::pending().await
        }
    };
    let served = builder.serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(service));
    tokio::select! {
        ended = watcher.watch(served.into_owned()) => {
            if let Err(error) = ended {
                tracing::debug!(%error, %peer, "connection ended");
            }
        }
        () = silence => tracing::debug!(%peer, "closed a connection that asked nothing"),
    }
}

//! What speaks at the other end. An HTTP/2 client that hears something else only says that a frame is odd; here it is
//! said what was heard.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::error::Fault;
use crate::io::Io;
use crate::trust;

/// Bytes of a foreign answer's first line that are repeated.
const SHOWN: usize = 60;
const TLS_ALERT: u8 = 0x15;

/// The last failure of a connection that is understood: the layers above don't always pass on why one ended.
#[derive(Debug, Clone, Default)]
pub(crate) struct LastFault(Arc<Mutex<Option<Fault>>>);

impl LastFault {
    pub(crate) fn set(&self, fault: Option<Fault>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    pub(crate) fn get(&self) -> Option<Fault> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A connection to a server.
pub(crate) struct Peer {
    io: Box<dyn Io>,
    server: String,
    last_fault: LastFault,
    heard: bool,
}

impl Peer {
    pub(crate) fn new(io: Box<dyn Io>, server: &str, last_fault: LastFault) -> Self {
        Self { io, server: server.to_owned(), last_fault, heard: false }
    }

    fn fail<T>(&self, fault: Fault) -> Poll<io::Result<T>> {
        self.last_fault.set(Some(fault.clone()));
        Poll::Ready(Err(io::Error::other(fault)))
    }

    /// What failed, if it was TLS.
    fn explain<T>(&self, error: io::Error) -> Poll<io::Result<T>> {
        let meaning = error
            .get_ref()
            .and_then(|cause| cause.downcast_ref::<rustls::Error>())
            .map(|error| trust::meaning(error, &self.server));
        match meaning {
            Some(fault) => self.fail(fault),
            None => Poll::Ready(Err(error)),
        }
    }
}

impl Peer {
    /// Who refuses us says so and closes; our next words then fail before we have heard it. What can't be written to has
    /// ended, so there is something to read, if only the end.
    fn last_words<T>(&mut self, cx: &mut Context<'_>, error: io::Error) -> Poll<io::Result<T>> {
        let mut space = [0; 2 * SHOWN];
        let mut words = ReadBuf::new(&mut space);
        let heard = ready!(Pin::new(&mut *self.io).poll_read(cx, &mut words));
        let unheard = !std::mem::replace(&mut self.heard, true);
        match (heard, foreign(words.filled(), &self.server)) {
            (Err(said), _) => self.explain(said),
            (Ok(()), Some(fault)) if unheard => self.fail(fault),
            (Ok(()), _) => Poll::Ready(Err(error)),
        }
    }
}

/// What the first bytes say, if they aren't HTTP/2's.
fn foreign(first: &[u8], server: &str) -> Option<Fault> {
    if first.starts_with(b"HTTP/1.") {
        let line = first.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
        let line: String =
            line.iter().take(SHOWN).map(|&b| if b.is_ascii_graphic() { b.into() } else { ' ' }).collect();
        return Some(Fault(format!("{server} doesn't speak HTTP/2, which gRPC needs: it answered {line:?}")));
    }
    // The alert of a TLS server that got something else.
    (first.starts_with(&[TLS_ALERT, 3])).then(|| Fault(format!("{server} speaks TLS: use https:// in its URL")))
}

impl AsyncRead for Peer {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        if let Err(error) = ready!(Pin::new(&mut *self.io).poll_read(cx, buf)) {
            return self.explain(error);
        }
        let new = &buf.filled()[before..];
        if !self.heard && !new.is_empty() {
            self.heard = true;
            if let Some(fault) = foreign(new, &self.server) {
                return self.fail(fault);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Peer {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match ready!(Pin::new(&mut *self.io).poll_write(cx, buf)) {
            Ok(written) => Poll::Ready(Ok(written)),
            Err(error) => self.last_words(cx, error),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(Pin::new(&mut *self.io).poll_flush(cx)) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(error) => self.last_words(cx, error),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match ready!(Pin::new(&mut *self.io).poll_write_vectored(cx, bufs)) {
            Ok(written) => Poll::Ready(Ok(written)),
            Err(error) => self.last_words(cx, error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_protocols_are_recognized() {
        let said = |bytes: &[u8]| foreign(bytes, "x.example.com").map(|fault| fault.0);
        assert!(said(b"HTTP/1.1 502 Bad Gateway\r\nx: y").unwrap().contains("502 Bad Gateway\""));
        assert!(said(&[0x15, 3, 3, 0, 2, 2, 10]).unwrap().contains("https://"));
        assert_eq!(said(&[0, 0, 18, 4, 0]), None);
    }
}

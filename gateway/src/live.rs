//! Answers that go on for as long as there is news: what they have in common, and how all of them end when the gateway
//! does.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::Streaming;

use crate::error::Error;

/// The answers of one gateway that go on: sockets and streams of events. Whoever stops the gateway closes them.
#[derive(Debug, Clone, Default)]
pub struct Live {
    stop: CancellationToken,
    sockets: TaskTracker,
}

impl Live {
    /// Tells every client that the gateway goes away, and waits for the sockets to close, for at most so long.
    pub async fn close(&self, patience: Duration) {
        self.stop.cancel();
        self.sockets.close();
        if tokio::time::timeout(patience, self.sockets.wait()).await.is_err() {
            tracing::warn!("some sockets took too long to close and were cut off");
        }
    }

    /// Serves a socket, which [`Self::close`] waits for.
    pub(crate) fn socket<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        self.sockets.track_future(work)
    }

    /// What a stream brings next; nothing at its end. The services show that they live when there is no news, so that a
    /// longer silence is a failure.
    ///
    /// # Errors
    /// What the stream ends with, 504 for a silence, 503 when the gateway stops.
    pub(crate) async fn next<T>(&self, messages: &mut Streaming<T>, patience: Duration) -> Result<Option<T>, Error> {
        tokio::select! {
            () = self.stop.cancelled() => Err(Error::stopping()),
            message = tokio::time::timeout(patience, messages.message()) => match message {
                Ok(message) => Ok(message?),
                Err(_) => Err(Error::deadline()),
            },
        }
    }
}

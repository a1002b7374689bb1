//! Streams that wait for news. What a reader doesn't take in time never piles up: it ends the stream.

use std::time::Duration;

use futures_util::{Stream, stream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::domain::{Error, Result};

/// A reader that takes nothing for so long is cut off.
const PATIENCE: Duration = Duration::from_secs(15);

/// Where the work of a stream puts what it finds.
#[derive(Debug)]
pub(super) struct Feed<T>(mpsc::Sender<T>);

impl<T> Feed<T> {
    /// Waits until the reader has taken everything: before what is large is fetched.
    ///
    /// # Errors
    /// [`Error::SlowReader`].
    pub(super) async fn room(&self) -> Result<()> {
        let room = timeout(PATIENCE, self.0.reserve()).await.map_err(|_| Error::SlowReader)?;
        room.map(drop).map_err(|_| Error::SlowReader)
    }

    /// Hands something to the reader, one at a time.
    ///
    /// # Errors
    /// [`Error::SlowReader`].
    pub(super) async fn send(&self, item: T) -> Result<()> {
        self.0.send_timeout(item, PATIENCE).await.map_err(|_| Error::SlowReader)
    }
}

/// A stream of what `work` sends, which ends as the work does, when the reader goes or is too slow, or at `stop`.
pub(super) fn start<T, F>(stop: CancellationToken, work: impl FnOnce(Feed<T>) -> F) -> impl Stream<Item = Result<T>>
where
    T: Send + 'static,
    F: Future<Output = Result<()>> + Send + 'static,
{
    let (sender, items) = mpsc::channel(1);
    let (end, ended) = oneshot::channel();
    let reader = sender.clone();
    let work = work(Feed(sender));
    let task = async move {
        let how = tokio::select! {
            how = work => how,
            () = stop.cancelled() => Err(Error::Stopping),
            () = reader.closed() => Ok(()),
        };
        // Fails when the reader has gone.
        let _ = end.send(how);
    };
    tokio::spawn(task.in_current_span());
    stream::unfold(Some((items, ended)), async |state| {
        let (mut items, ended) = state?;
        match items.recv().await {
            Some(item) => Some((Ok(item), Some((items, ended)))),
            None => match ended.await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some((Err(error), None)),
                Err(_) => Some((Err(Error::internal("the work of a stream broke off")), None)),
            },
        }
    })
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;

    use super::*;

    async fn numbers(feed: Feed<i32>) -> Result<()> {
        for number in 0..1000 {
            feed.send(number).await?;
        }
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_is_cut_off_and_told() {
        let fast: Vec<_> = start(CancellationToken::new(), numbers).collect().await;
        assert_eq!(fast.len(), 1000);
        assert!(fast.iter().all(Result::is_ok));

        let mut slow = Box::pin(start(CancellationToken::new(), numbers));
        assert!(matches!(slow.next().await, Some(Ok(0))));
        tokio::time::sleep(PATIENCE * 2).await;
        let rest: Vec<_> = slow.collect().await;
        assert!(matches!(rest.last(), Some(Err(Error::SlowReader))), "{rest:?}");
        assert!(rest.len() <= 3, "{rest:?}");
    }

    #[tokio::test]
    async fn a_stream_ends_with_the_server_and_the_work_with_the_reader() {
        let stop = CancellationToken::new();
        let held = std::sync::Arc::new(());
        let work = |feed: Feed<i32>| {
            let held = held.clone();
            async move {
                let _held = (feed, held);
                std::future::pending().await
            }
        };
        let mut stopped = Box::pin(start(stop.clone(), work));
        let left = start(CancellationToken::new(), work);
        stop.cancel();
        assert!(matches!(stopped.next().await, Some(Err(Error::Stopping))));
        assert!(stopped.next().await.is_none());
        drop(left);
        while std::sync::Arc::strong_count(&held) > 1 {
            tokio::task::yield_now().await;
        }
    }
}

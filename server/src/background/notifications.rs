//! Tells the other servers of a deployment what they should look at, and looks at what they tell. It only saves time:
//! whoever misses something finds it when it looks by itself.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::key_watch;
use crate::dispatch::Dispatcher;
use crate::domain::Result;
use crate::domain::error::chain;
use crate::options::DatabaseUrl;
use crate::store::Store;
use crate::store::notice::{self, Listener, Notice};

/// New jobs are announced at once, and then not again for this long.
const PAUSE: Duration = Duration::from_millis(50);
/// After the connection broke.
const RETRY: Duration = Duration::from_secs(1);

/// Runs until stopped. Listens at `url`, which mustn't be a pooler's.
pub async fn run(store: Store, dispatcher: Arc<Dispatcher>, url: DatabaseUrl, stop: CancellationToken) {
    let own = Uuid::new_v4();
    tokio::select! {
        () = stop.cancelled() => {}
        () = speak(&store, &dispatcher, own) => {}
        () = listen(&store, &dispatcher, &url, own) => {}
    }
}

async fn speak(store: &Store, dispatcher: &Dispatcher, own: Uuid) {
    loop {
        dispatcher.announced().await;
        if let Err(error) = notice::send(store, Notice::Work(own)).await {
            tracing::warn!(error = %chain(&error), "can't tell other servers of new jobs; they find them at their next poll");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn listen(store: &Store, dispatcher: &Dispatcher, url: &DatabaseUrl, own: Uuid) {
    let mut silent = false;
    loop {
        match Listener::open(&url.0).await {
            Ok(mut listener) => {
                silent = false;
                let Err(error) = hear(store, dispatcher, &mut listener, own).await;
                tracing::warn!(error = %chain(&error), "can't hear of other servers; connecting again");
            }
            Err(error) if !silent => {
                silent = true;
                tracing::warn!(error = %chain(&error), "can't hear of other servers; what they take in is found by polling");
            }
            Err(_) => {}
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Until the connection breaks.
async fn hear(
    store: &Store,
    dispatcher: &Dispatcher,
    listener: &mut Listener,
    own: Uuid,
) -> Result<std::convert::Infallible> {
    // What was said before is in the database.
    for notice in [Some(Notice::Work(Uuid::nil())), Some(Notice::Keys)] {
        look(store, dispatcher, notice, own).await;
    }
    if let Err(error) = dispatcher.look_for_cancels(None).await {
        tracing::warn!(error = %chain(&error), "can't look for jobs to cancel; they are looked for at the next heartbeat");
    }
    loop {
        let notice = listener.next().await?;
        look(store, dispatcher, notice, own).await;
    }
}

async fn look(store: &Store, dispatcher: &Dispatcher, notice: Option<Notice>, own: Uuid) {
    let looked = match notice {
        Some(Notice::Work(sender)) => {
            if sender != own {
                dispatcher.wake();
            }
            Ok(())
        }
        Some(Notice::Cancel(job)) => dispatcher.look_for_cancels(Some(job)).await,
        Some(Notice::Keys) => key_watch::pass(store, dispatcher).await,
        None => Ok(()),
    };
    if let Err(error) = looked {
        tracing::warn!(error = %chain(&error), "can't look at what another server told; it is looked at by itself soon");
    }
}

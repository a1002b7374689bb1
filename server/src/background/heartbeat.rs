//! Keeps the leases and the last sign of connected daemons, all in one statement each.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::ticks::Ticks;
use crate::dispatch::Dispatcher;
use crate::domain::Result;
use crate::domain::error::chain;
use crate::store::{self, Store};

/// Runs until stopped.
pub async fn run(store: Store, dispatcher: Arc<Dispatcher>, interval: Duration, stop: CancellationToken) {
    let mut ticks = Ticks::new(interval, stop);
    while ticks.next().await {
        if let Err(error) = pass(&store, &dispatcher).await {
            // Nobody was told that a lease lives on, so daemons stop in time if this lasts.
            tracing::warn!(error = %chain(&error), "can't renew leases now");
        }
    }
}

async fn pass(store: &Store, dispatcher: &Dispatcher) -> Result<()> {
    let heard = dispatcher.renew().await?;
    if !heard.is_empty() {
        let tx = store.begin().await?;
        store::provisioner_daemon::touch(&tx, &heard).await?;
        tx.commit().await?;
    }
    Ok(())
}

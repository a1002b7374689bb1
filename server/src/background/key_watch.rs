//! Ends the sessions of keys that have expired, or were revoked or deleted elsewhere.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::ticks::Ticks;
use crate::dispatch::Dispatcher;
use crate::domain::Result;
use crate::domain::error::chain;
use crate::store::{self, Store};

/// A key that ended is good for no longer than this.
const INTERVAL: Duration = Duration::from_secs(1);

/// Runs until stopped.
pub async fn run(store: Store, dispatcher: Arc<Dispatcher>, stop: CancellationToken) {
    let mut ticks = Ticks::new(INTERVAL, stop);
    while ticks.next().await {
        if let Err(error) = pass(&store, &dispatcher).await {
            tracing::warn!(error = %chain(&error), "can't look for ended provisioner keys now");
        }
    }
}

/// Looks once.
pub(super) async fn pass(store: &Store, dispatcher: &Dispatcher) -> Result<()> {
    let secrets = dispatcher.secrets();
    for secret in store::provisioner_daemon::ended_secrets(store, &secrets).await? {
        dispatcher.secret_ended(secret);
    }
    Ok(())
}

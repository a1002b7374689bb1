//! Marks users as dormant who haven't been here for long.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::ticks::Ticks;
use crate::domain::error::chain;
use crate::service::Service;

/// When a user was last seen is known to the hour.
const INTERVAL: Duration = Duration::from_secs(60 * 60);

/// Runs until stopped.
pub async fn run(service: Arc<Service>, threshold: Duration, stop: CancellationToken) {
    let mut ticks = Ticks::new(INTERVAL, stop);
    while ticks.next().await {
        if let Err(error) = service.users_rest(threshold).await {
            tracing::warn!(error = %chain(&error), "can't look for dormant users now");
        }
    }
}

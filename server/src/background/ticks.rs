//! The rhythm of a reconciler.

use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// When to make a pass: at once, and then once an interval, until stopped.
#[derive(Debug)]
pub(super) struct Ticks {
    interval: Interval,
    stop: CancellationToken,
}

impl Ticks {
    /// A pass that takes longer than the interval moves the later ones; none is made up for.
    pub(super) fn new(interval: Duration, stop: CancellationToken) -> Self {
        let mut interval = tokio::time::interval(interval);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { interval, stop }
    }

    /// Waits for the next one; false when there are no more.
    pub(super) async fn next(&mut self) -> bool {
        tokio::select! {
            () = self.stop.cancelled() => false,
            _ = self.interval.tick() => true,
        }
    }
}

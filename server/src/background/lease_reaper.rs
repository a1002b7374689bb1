//! Takes jobs from daemons that aren't heard of any more.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::dispatch::Dispatcher;
use crate::domain::Result;
use crate::options::Provisioners;
use crate::store::Store;

/// When jobs may be taken: after one full lease in which this server, and its database, were there to be heard by. Daemons
/// couldn't renew while they weren't.
#[derive(Debug)]
struct Patience {
    lease: Duration,
    served_since: Instant,
}

impl Patience {
    fn is_over(&self, now: Instant) -> bool {
        now.duration_since(self.served_since) >= self.lease
    }

    fn interrupted(&mut self, now: Instant) {
        self.served_since = now;
    }
}

/// Runs until stopped.
pub async fn run(store: Store, dispatcher: Arc<Dispatcher>, options: Provisioners, stop: CancellationToken) {
    let mut patience = Patience { lease: options.lease, served_since: Instant::now() };
    let mut ticks = tokio::time::interval(options.reap_interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = Instant::now();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        // A process that was stopped for long heard nobody meanwhile.
        if last.elapsed() > options.reap_interval + options.lease / 2 {
            patience.interrupted(Instant::now());
        }
        last = Instant::now();
        // Without the database nobody could renew either.
        let passed = if patience.is_over(Instant::now()) { pass(&dispatcher).await } else { store.ping().await };
        if let Err(error) = passed {
            tracing::warn!(error = %error, "can't look for lapsed leases now");
            patience.interrupted(Instant::now());
        }
    }
}

async fn pass(dispatcher: &Dispatcher) -> Result<()> {
    loop {
        let reaped = dispatcher.queue().reap().await?;
        if reaped.is_empty() {
            return Ok(());
        }
        for job in &reaped {
            tracing::warn!(job = %job.job, status = job.status.text(), "the lease of a job lapsed");
        }
        dispatcher.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_taken_before_a_full_lease_of_service() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut patience = Patience { lease: 90 * second, served_since: start };
        assert!(!patience.is_over(start + 89 * second));
        assert!(patience.is_over(start + 90 * second));
        patience.interrupted(start + 90 * second);
        assert!(!patience.is_over(start + 179 * second));
        assert!(patience.is_over(start + 180 * second));
    }
}

//! Takes jobs from daemons that aren't heard of any more, and ends those that waited too long.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::ticks::Ticks;
use crate::dispatch::Dispatcher;
use crate::domain::error::chain;
use crate::domain::{Result, Timestamp};
use crate::options::Provisioners;
use crate::store::Store;

/// When jobs may be taken: after one full lease in which this server, and its database, were there to be heard by. Daemons
/// couldn't renew while they weren't.
#[derive(Debug)]
pub(crate) struct Patience {
    lease: Duration,
    /// Longer between two ticks, by either clock, and something stood still or a clock was set. The process's clock may
    /// not count while the machine is suspended; the database's, by which leases end, does.
    gap: Duration,
    served_since: Instant,
    last: Instant,
    /// The database's time at the last tick; none when it didn't answer.
    last_stored: Option<Timestamp>,
}

impl Patience {
    pub(crate) fn new(options: &Provisioners, now: Instant) -> Self {
        let gap = options.reap_interval + options.lease / 2;
        Self { lease: options.lease, gap, served_since: now, last: now, last_stored: None }
    }

    /// Whether jobs may be taken now, when the database says that it is `stored`.
    pub(crate) fn is_over(&mut self, now: Instant, stored: Timestamp) -> bool {
        let went = |before: Timestamp| stored.since(before).max(before.since(stored));
        if now.duration_since(self.last) > self.gap || self.last_stored.is_none_or(|before| went(before) > self.gap) {
            self.served_since = now;
        }
        (self.last, self.last_stored) = (now, Some(stored));
        now.duration_since(self.served_since) >= self.lease
    }

    /// Without the database nobody could renew.
    fn interrupted(&mut self) {
        self.last_stored = None;
    }
}

/// Runs until stopped.
pub async fn run(store: Store, dispatcher: Arc<Dispatcher>, options: Provisioners, stop: CancellationToken) {
    let mut patience = Patience::new(&options, Instant::now());
    let mut ticks = Ticks::new(options.reap_interval, stop);
    while ticks.next().await {
        if let Err(error) = pass(&store, &dispatcher, &mut patience).await {
            tracing::warn!(error = %chain(&error), "can't look for lapsed leases now");
            patience.interrupted();
        }
    }
}

async fn pass(store: &Store, dispatcher: &Dispatcher, patience: &mut Patience) -> Result<()> {
    let stored = store.now().await?;
    if !patience.is_over(Instant::now(), stored) {
        return Ok(());
    }
    loop {
        let reaped = dispatcher.queue().reap().await?;
        if reaped.is_empty() {
            return Ok(());
        }
        for job in &reaped {
            if job.lapsed {
                store.metrics().lapse(job.status);
                tracing::warn!(job = %job.job, status = job.status.text(), "the lease of a job lapsed");
            } else {
                tracing::warn!(job = %job.job, "no provisioner daemon took a job in time");
            }
        }
        dispatcher.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_taken_before_a_full_lease_of_service() {
        let options = Provisioners::default();
        let start = Instant::now();
        let mut patience = Patience::new(&options, start);
        // Each tick is five seconds after the one before, by the process's clock.
        let (mut elapsed, mut stored) = (Duration::ZERO, Timestamp(1_000_000_000_000_000));
        let mut ticks_until_over = |patience: &mut Patience, step: i64, stopped: Duration| {
            stored = Timestamp(stored.0 + step * 1_000_000);
            elapsed += stopped;
            let mut ticks = 0;
            while !patience.is_over(start + elapsed, stored) {
                elapsed += options.reap_interval;
                stored = Timestamp(stored.0 + 5_000_000);
                ticks += 1;
            }
            ticks
        };
        let none = Duration::ZERO;
        assert_eq!(ticks_until_over(&mut patience, 0, none), 18, "a full lease since the start");
        assert_eq!(ticks_until_over(&mut patience, 40, none), 0);
        assert_eq!(ticks_until_over(&mut patience, 0, 40 * Duration::from_secs(1)), 0);
        assert_eq!(ticks_until_over(&mut patience, 60, none), 18, "suspended, or a clock was set");
        assert_eq!(ticks_until_over(&mut patience, -60, none), 18, "a clock was set back");
        assert_eq!(ticks_until_over(&mut patience, 0, 60 * Duration::from_secs(1)), 18, "the process was stopped");
        patience.interrupted();
        assert_eq!(ticks_until_over(&mut patience, 0, none), 18, "the database was away");
    }
}

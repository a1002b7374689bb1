//! The session with the server: one stream after another, for as long as the daemon lives.

pub(crate) mod bytes;
mod connect;
mod jobs;
mod stream;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use uuid::Uuid;

use self::connect::{Client, Connector};
use self::jobs::Jobs;
use self::stream::End;
use crate::daemon::Stop;
use crate::engine::Host;
use crate::engine::terraform::Binary;
use crate::job::phase::Cause;
use crate::job::runner::Terms;
use crate::workdir::WorkDir;
use crate::{Config, Error};

const PROBE_EVERY: Duration = Duration::from_secs(60);

/// What all streams share.
#[derive(Debug)]
pub(crate) struct Session {
    config: Config,
    host: Arc<Host>,
    work: WorkDir,
    work_dir: PathBuf,
    instance: Uuid,
    /// Something is to be said.
    wake: Arc<Notify>,
    /// The way for bytes, while there is a stream.
    client: watch::Sender<Option<Client>>,
    terms: watch::Sender<Terms>,
    healthy: Arc<AtomicBool>,
}

impl Session {
    pub(crate) fn new(config: Config, host: Host, work: WorkDir) -> Self {
        let terms = Terms { renewed: Instant::now(), lease: Duration::ZERO, apply_lease: Duration::ZERO, log_limit: 0 };
        Self {
            config,
            host: Arc::new(host),
            work_dir: work.path().to_owned(),
            instance: work.instance(),
            work,
            wake: Arc::default(),
            client: watch::Sender::new(None),
            terms: watch::Sender::new(terms),
            healthy: Arc::new(AtomicBool::new(true)),
        }
    }

    fn engines_healthy(&self) -> bool {
        self.healthy.load(Ordering::Relaxed)
    }

    /// Asks the engine from time to time whether it still works.
    async fn probe(&self) -> std::convert::Infallible {
        loop {
            tokio::time::sleep(PROBE_EVERY).await;
            if let Some(binary) = &self.host.terraform {
                let answer = Binary::probe(&binary.path).await;
                if let Err(error) = &answer {
                    tracing::warn!(error, "the engine doesn't answer");
                }
                self.healthy.store(answer.is_ok(), Ordering::Relaxed);
            }
        }
    }

    /// Serves streams until the daemon is to end.
    pub(crate) async fn run(&self, stop: Stop) -> Result<(), Error> {
        let connector = Connector::new(&self.config)?;
        tokio::select! {
            ended = self.serve(&connector, stop) => ended,
            never = self.probe() => match never {},
        }
    }

    async fn serve(&self, connector: &Connector, stop: Stop) -> Result<(), Error> {
        let mut jobs = Jobs::default();
        let mut stopping = Stopping::new(stop, self.config.intervals.drain);
        let mut backoff = Backoff::new(self.config.intervals.backoff_min, self.config.intervals.backoff_max);
        let mut last_cause = String::new();
        loop {
            let connected = tokio::select! {
                connected = connector.connect() => connected,
                () = stopping.idle(&jobs) => return Ok(()),
            };
            let (cause, after) = match connected {
                Err(cause) => (cause, None),
                Ok(client) => match stream::serve(self, &mut jobs, client, &mut stopping).await? {
                    End::Stopped => return Ok(()),
                    End::Again { cause, after, registered } => {
                        if registered {
                            backoff.reset();
                            last_cause.clear();
                        }
                        (cause, after)
                    }
                },
            };
            let wait = after.unwrap_or_else(|| backoff.next());
            if cause == last_cause {
                tracing::debug!(cause, ?wait, "not connected");
            } else {
                tracing::warn!(url = self.config.url, cause, "not connected; trying again");
                last_cause = cause;
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stopping.idle(&jobs) => return Ok(()),
            }
        }
    }
}

/// Whether the daemon is to end, and how.
#[derive(Debug)]
struct Stopping {
    stop: Stop,
    drain: Duration,
    drain_until: Option<Instant>,
    interrupted: bool,
}

impl Stopping {
    const fn new(stop: Stop, drain: Duration) -> Self {
        Self { stop, drain, drain_until: None, interrupted: false }
    }

    fn is_draining(&self) -> bool {
        self.stop.drain.is_cancelled() || self.stop.interrupt.is_cancelled()
    }

    /// Returns at each step on the way to the end; running jobs are interrupted at the last one.
    async fn changed(&mut self, jobs: &Jobs) {
        if self.interrupted {
            return std::future::pending().await;
        }
        if let Some(until) = self.drain_until {
            tokio::select! {
                () = tokio::time::sleep_until(until) => {}
                () = self.stop.interrupt.cancelled() => {}
            }
            self.interrupted = true;
            tracing::warn!("running jobs are interrupted");
            jobs.stop_all(Cause::Shutdown, "the provisioner daemon was stopped");
            return;
        }
        tokio::select! {
            () = self.stop.drain.cancelled() => {}
            () = self.stop.interrupt.cancelled() => {}
        }
        tracing::info!(jobs = jobs.running(), "draining: running jobs end, no new ones are taken");
        self.drain_until = Some(Instant::now() + self.drain);
    }

    /// Without a stream: returns when the daemon is to end and has nothing left to hand in.
    async fn idle(&mut self, jobs: &Jobs) {
        while !(self.is_draining() && jobs.is_empty()) {
            self.changed(jobs).await;
        }
    }
}

/// Exponential, with full jitter.
#[derive(Debug)]
struct Backoff {
    min: Duration,
    max: Duration,
    limit: Duration,
}

impl Backoff {
    const fn new(min: Duration, max: Duration) -> Self {
        Self { min, max, limit: min }
    }

    const fn reset(&mut self) {
        self.limit = self.min;
    }

    fn next(&mut self) -> Duration {
        let wait = self.limit.mul_f64(rand::random_range(0.0..=1.0));
        self.limit = (self.limit * 2).min(self.max);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backoff_grows_to_its_limit_and_starts_again() {
        let (min, max) = (Duration::from_millis(100), Duration::from_secs(1));
        let mut backoff = Backoff::new(min, max);
        assert!(backoff.next() <= min);
        for _ in 0..10 {
            assert!(backoff.next() <= max);
        }
        assert_eq!(backoff.limit, max);
        backoff.reset();
        assert_eq!(backoff.limit, min);
    }
}

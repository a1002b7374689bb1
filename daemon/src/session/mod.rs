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

use self::bytes::Way;
use self::connect::Connector;
use self::jobs::Jobs;
use self::stream::End;
use crate::engine::Host;
use crate::engine::terraform::Binary;
use crate::job::phase::Cause;
use crate::job::terms::Terms;
use crate::stop::Stop;
use crate::workdir::WorkDir;
use crate::{Config, Error};

const PROBE_EVERY: Duration = Duration::from_secs(60);
/// A stream that lived so long was no failure.
const STEADY: Duration = Duration::from_secs(10);
/// So long after the last engine may have been killed, what jobs left can be handed in before the daemon ends.
const HAND_IN_LIMIT: Duration = Duration::from_secs(30);
const SETTLE_POLL: Duration = Duration::from_millis(200);

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
    way: watch::Sender<Way>,
    terms: watch::Sender<Terms>,
    healthy: Arc<AtomicBool>,
}

impl Session {
    pub(crate) fn new(config: Config, host: Host, work: WorkDir) -> Self {
        let none = Terms { renewed: Instant::now(), lease: Duration::ZERO, apply_lease: Duration::ZERO, log_limit: 0 };
        let terms = work.terms().unwrap_or(none);
        Self {
            config,
            host: Arc::new(host),
            work_dir: work.path().to_owned(),
            instance: work.instance(),
            work,
            wake: Arc::default(),
            way: watch::Sender::new(Way::Broken),
            terms: watch::Sender::new(terms),
            healthy: Arc::new(AtomicBool::new(true)),
        }
    }

    fn engines_healthy(&self) -> bool {
        self.healthy.load(Ordering::Relaxed)
    }

    /// The server renewed all leases.
    fn renewed(&self, terms: Terms) {
        self.terms.send_replace(terms);
        let path = self.work_dir.clone();
        tokio::task::spawn_blocking(move || WorkDir::keep_terms(&path, terms));
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
                self.config.vitals.engine(answer.is_ok());
            }
        }
    }

    /// Serves streams until the daemon is to end.
    pub(crate) async fn run(&self, stop: Stop) -> Result<(), Error> {
        let connector = Connector::new(&self.config)?;
        let mut jobs = Jobs::adopt(self);
        let ended = tokio::select! {
            ended = self.serve(&connector, &mut jobs, stop) => ended,
            never = self.probe() => match never {},
        };
        self.settle(&jobs).await;
        ended
    }

    /// Lets no engine go on without the daemon, now that nobody would hear of it. Ends even if a job doesn't.
    async fn settle(&self, jobs: &Jobs) {
        self.way.send_replace(Way::Closed);
        jobs.stop_all(Cause::Shutdown, "the provisioner daemon ended");
        let intervals = &self.config.intervals;
        let deadline = Instant::now() + intervals.plan_grace.max(intervals.apply_grace) + HAND_IN_LIMIT;
        while !jobs.have_ended() {
            if Instant::now() >= deadline {
                jobs.leave();
                return;
            }
            // Not every job that ends gets a notice of its own.
            let _ = tokio::time::timeout(SETTLE_POLL, self.wake.notified()).await;
        }
    }

    async fn serve(&self, connector: &Connector, jobs: &mut Jobs, stop: Stop) -> Result<(), Error> {
        let intervals = &self.config.intervals;
        let mut stopping = Stopping::new(stop, &self.config);
        let mut backoff = Backoff::new(intervals.backoff_min, intervals.backoff_max);
        let mut last_cause = String::new();
        loop {
            let connected = tokio::select! {
                connected = connector.connect() => connected,
                () = stopping.idle(jobs) => return Ok(()),
            };
            let opened = Instant::now();
            let (cause, after) = match connected {
                Err(cause) => (cause, None),
                Ok(client) => match stream::serve(self, jobs, client, &mut stopping).await? {
                    End::Stopped => return Ok(()),
                    End::Again { cause, after, registered } => {
                        if registered {
                            // Else a server that ends each stream at once would be called without end.
                            if opened.elapsed() > STEADY {
                                backoff.reset();
                            }
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
                tracing::warn!(url = self.config.server.url, cause, "not connected; trying again");
                last_cause = cause;
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stopping.idle(jobs) => return Ok(()),
            }
        }
    }
}

/// How far the daemon is on its way to its end.
#[derive(Debug)]
struct Stopping {
    stop: Stop,
    drain: Duration,
    hand_in: Duration,
    run_once: bool,
    idle_exit: Option<Duration>,
    /// The last time that it had a job, or its start.
    busy: Instant,
    step: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// It isn't to end.
    Serving,
    /// Running jobs have until then.
    Draining(Instant),
    /// They were interrupted, and have until then.
    Interrupted(Instant),
    /// Whatever is left stays on disk.
    GaveUp,
}

impl Stopping {
    fn new(stop: Stop, config: &Config) -> Self {
        Self {
            stop,
            drain: config.intervals.drain,
            hand_in: config.intervals.apply_grace + HAND_IN_LIMIT,
            run_once: config.run_once,
            idle_exit: config.idle_exit,
            busy: Instant::now(),
            step: Step::Serving,
        }
    }

    /// To be called whenever there may be other jobs than before.
    fn notice(&mut self, jobs: &Jobs) {
        if jobs.is_empty() {
            return;
        }
        self.busy = Instant::now();
        if self.run_once {
            self.stop.drain.cancel();
        }
    }

    /// Returns when it had no job for long enough to end.
    async fn bored(&self, jobs: &Jobs) {
        match self.idle_exit {
            Some(limit) if jobs.is_empty() => tokio::time::sleep_until(self.busy + limit).await,
            _ => std::future::pending().await,
        }
    }

    fn is_draining(&self) -> bool {
        self.stop.drain.is_cancelled() || self.stop.interrupt.is_cancelled()
    }

    fn gave_up(&self) -> bool {
        self.step == Step::GaveUp
    }

    /// Returns at each step on the way.
    async fn changed(&mut self, jobs: &Jobs) {
        match self.step {
            Step::Serving => {
                tokio::select! {
                    () = self.stop.drain.cancelled() => {}
                    () = self.stop.interrupt.cancelled() => {}
                    () = self.bored(jobs) => self.stop.drain.cancel(),
                }
                tracing::info!(jobs = jobs.running(), "draining: running jobs end, no new ones are taken");
                self.step = Step::Draining(Instant::now() + self.drain);
            }
            Step::Draining(until) => {
                tokio::select! {
                    () = tokio::time::sleep_until(until) => {}
                    () = self.stop.interrupt.cancelled() => {}
                }
                tracing::info!(jobs = jobs.running(), "running jobs are interrupted");
                jobs.stop_all(Cause::Shutdown, "the provisioner daemon was stopped");
                self.step = Step::Interrupted(Instant::now() + self.hand_in);
            }
            Step::Interrupted(until) => {
                tokio::time::sleep_until(until).await;
                self.step = Step::GaveUp;
            }
            Step::GaveUp => std::future::pending().await,
        }
    }

    /// Without a stream: returns when the daemon is to end and has nothing left to hand in, or time is up.
    async fn idle(&mut self, jobs: &Jobs) {
        self.notice(jobs);
        while !(self.is_draining() && jobs.is_empty() || self.gave_up()) {
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

//! One job's view of the daemon: where its lines, states and questions go.

use std::borrow::Cow;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use orgplane_proto::limits;
use orgplane_proto::provisioner::v1::{
    ApplyVerdict, Discovered, JobErrorCode, LogLevel, LogSource, Reference, StateReference, Timing, UploadKind,
    Verdict, assign,
};

use prost::Message as _;

use super::advice;
use super::cache::Cache;
use super::users::{Lent, Users};
use super::{Failure, Host};
use crate::files::close;
use crate::job::logs::{Line, Log};
use crate::job::phase::Cause;
use crate::job::{Job, Stop};
use crate::session::bytes::{BytesError, Link};
use crate::shim;
use crate::workdir::{ARCHIVE, STEPS};

/// More timings than this are not reported.
const MAX_TIMINGS: usize = 1000;
/// So long a job that was stopped waits for the answer to its question, if it asked.
const VERDICT_WAIT: Duration = Duration::from_secs(5);
/// Messages over 1 MiB end the stream.
const MAX_DISCOVERED: usize = 900 * 1024;

/// What an engine works with.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) host: Arc<Host>,
    pub(crate) job: Arc<Job>,
    pub(crate) log: Log,
    /// Whom the job's engine runs as.
    pub(crate) user: Option<Lent>,
    /// An earlier daemon began the job's first engine command: what was done since is not done again, and the directory
    /// where the engine runs is its own.
    pub(crate) begun: bool,
    link: Link,
    ledger: Mutex<Ledger>,
}

/// What is reported however the job ends.
#[derive(Debug)]
struct Ledger {
    stage: Cow<'static, str>,
    state: Option<StateReference>,
    timings: Vec<Timing>,
}

impl Context {
    pub(crate) fn new(host: Arc<Host>, job: Arc<Job>, log: Log, link: Link) -> Self {
        let state = match &job.assign.job {
            Some(assign::Job::WorkspaceBuild(build)) => build.state.clone(),
            _ => None,
        };
        let ledger = Mutex::new(Ledger { stage: Cow::Borrowed("Setting up"), state, timings: Vec::new() });
        let first = shim::first_step(&job.dir.join(STEPS));
        let begun = first.is_some();
        let user = match first {
            Some(step) => step.user.map(|owner| Users::lend_again(host.users.as_ref(), owner)),
            None => host.users.as_ref().and_then(Users::lend),
        };
        Self { host, job, log, user, begun, link, ledger }
    }

    fn ledger<T>(&self, f: impl FnOnce(&mut Ledger) -> T) -> T {
        f(&mut self.ledger.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The newest state that the server has, and the timings.
    pub(crate) fn take_ledger(&self) -> (Option<StateReference>, Vec<Timing>) {
        self.ledger(|l| (l.state.take(), std::mem::take(&mut l.timings)))
    }

    pub(crate) fn add_timings(&self, timings: impl IntoIterator<Item = Timing>) {
        self.ledger(|l| {
            let room = MAX_TIMINGS.saturating_sub(l.timings.len());
            l.timings.extend(timings.into_iter().take(room));
        });
    }

    // ---- log ---------------------------------------------------------------------------------------------------

    /// Begins a stage: lines belong to it from now on.
    pub(crate) async fn stage(&self, name: impl Into<Cow<'static, str>>) {
        let name = name.into();
        self.ledger(|l| l.stage = name);
        self.say(LogLevel::Info, "").await;
    }

    /// A line of the daemon's own.
    pub(crate) async fn say(&self, level: LogLevel, output: impl Into<String>) {
        self.line(SystemTime::now(), LogSource::ProvisionerDaemon, level, output.into()).await;
    }

    /// A line of the engine's.
    pub(crate) async fn engine_line(&self, time: SystemTime, level: LogLevel, output: String) {
        self.line(time, LogSource::Provisioner, level, output).await;
    }

    async fn line(&self, time: SystemTime, source: LogSource, level: LogLevel, output: String) {
        let stage = self.ledger(|l| l.stage.clone());
        self.log.line(Line { time, source, level, stage, output }).await;
    }

    // ---- stopping ----------------------------------------------------------------------------------------------

    /// An error once the job is to stop.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.job.machine().stopped().is_some() { Err(Failure::Stopped) } else { Ok(()) }
    }

    /// Waits for the future, but no longer than until the job is to stop.
    pub(crate) async fn or_stop<T>(&self, future: impl Future<Output = T>) -> Result<T, Failure> {
        let mut stops = self.job.stops();
        tokio::select! {
            biased;
            _ = stops.wait_for(Option::is_some) => Err(Failure::Stopped),
            value = future => Ok(value),
        }
    }

    /// Reports what an import found.
    pub(crate) fn discovered(&self, discovered: Discovered) -> Result<(), Failure> {
        if discovered.encoded_len() > MAX_DISCOVERED {
            return Err(Failure::job("the template's readme and variables are too long together"));
        }
        if discovered.variables.len() > limits::VARIABLES {
            return Err(Failure::job(format!("the template has more than {} variables", limits::VARIABLES)));
        }
        self.job.discovered(discovered);
        Ok(())
    }

    // ---- server ------------------------------------------------------------------------------------------------

    /// Fetches the template's archive into the job's directory.
    pub(crate) async fn fetch_archive(&self) -> Result<PathBuf, Failure> {
        let path = self.job.dir.join(ARCHIVE);
        if self.begun && path.exists() {
            return Ok(path);
        }
        let Some(reference) = &self.job.assign.archive else {
            return Err(Failure::job("the assignment names no archive"));
        };
        // An earlier daemon may have died while it wrote one.
        let _ = tokio::fs::remove_file(&path).await;
        let cache = Cache::new(&self.host.cache_dir);
        let (from, wanted, to) = (cache.clone(), reference.clone(), path.clone());
        let cached = tokio::task::spawn_blocking(move || from.get(&wanted, &to)).await;
        if !cached.unwrap_or(false) {
            self.fetch(reference, &path).await?;
            let (fetched, from) = (reference.clone(), path.clone());
            // Done before the job goes on, which may remove the file.
            let _ = tokio::task::spawn_blocking(move || cache.put(&fetched, &from)).await;
        }
        Ok(path)
    }

    pub(crate) async fn fetch(&self, reference: &Reference, path: &Path) -> Result<(), Failure> {
        let Err(error) = self.or_stop(self.link.download(&self.job, reference, path)).await? else { return Ok(()) };
        let error = advice::added(format!("the job's files can't be fetched: {error}"));
        self.say(LogLevel::Error, error.clone()).await;
        Err(Failure::job(error))
    }

    /// Asks for the permit to change things, and returns when it is given.
    pub(crate) async fn permit(&self, daily_cost: i32) -> Result<(), Failure> {
        if self.job.machine().permitted() {
            // To an earlier daemon.
            self.say_quota(daily_cost, &self.job.record().verdict()).await;
            return Ok(());
        }
        self.check()?;
        let unwritten = |e| Failure::job(advice::added(format!("can't write into the work directory: {e}")));
        self.job.record().asks().map_err(unwritten)?;
        let mut verdicts = self.job.verdicts();
        self.job.ask_permit(daily_cost).map_err(|_| Failure::Stopped)?;
        let answered = self.or_stop(async { verdicts.wait_for(Option::is_some).await.ok().and_then(|v| v.clone()) });
        let verdict = match answered.await {
            Ok(verdict) => verdict,
            Err(stopped) => {
                // Another daemon may have the job only if this one surely has no permit.
                if !self.job.withdraw_request() {
                    let _ = tokio::time::timeout(VERDICT_WAIT, verdicts.wait_for(Option::is_some)).await;
                }
                return Err(stopped);
            }
        };
        let Some(verdict) = verdict else { return Err(Failure::Stopped) };
        let stop = |cause, reason: &str| Stop { cause, reason: reason.to_owned(), grace: None };
        match verdict.verdict() {
            Verdict::Go => {
                self.say_quota(daily_cost, &verdict).await;
                self.job.record().permitted(&verdict).map_err(unwritten)?;
                self.job.permit().map_err(|_| Failure::Stopped)
            }
            Verdict::OverQuota => {
                self.stage("Commit quota").await;
                let text = format!(
                    "This build would cost {daily_cost} credits a day; {} of {} are in use.",
                    verdict.consumed, verdict.budget
                );
                self.say(LogLevel::Warn, text).await;
                let code = JobErrorCode::InsufficientQuota;
                Err(Failure::Job { error: "insufficient quota".to_owned(), code })
            }
            Verdict::Canceled => {
                self.job.stop(stop(Cause::Canceled, "canceled"));
                Err(Failure::Stopped)
            }
            Verdict::Lost | Verdict::Unspecified => {
                self.job.stop(stop(Cause::LeaseLost, "the lease is lost"));
                Err(Failure::Stopped)
            }
        }
    }

    async fn say_quota(&self, daily_cost: i32, verdict: &ApplyVerdict) {
        if daily_cost > 0 {
            self.stage("Commit quota").await;
            for (what, credits) in [("Cost", daily_cost), ("Budget", verdict.budget), ("Consumed", verdict.consumed)] {
                self.say(LogLevel::Info, format!("{what}: {credits} credits a day")).await;
            }
        }
    }

    /// Hands a state in; returns when the server has it.
    pub(crate) async fn store_state(&self, lineage: String, serial: i64, bytes: Bytes) -> Result<(), BytesError> {
        let reference = self.link.upload(&self.job, UploadKind::State, bytes).await?;
        let state = StateReference { lineage, serial, reference: Some(reference) };
        self.job.checkpoint(state.clone());
        self.ledger(|l| l.state = Some(state));
        Ok(())
    }
}

impl Drop for Context {
    /// The engine's user is another job's next: what is left of this one is none of its business.
    fn drop(&mut self) {
        let dir = &self.job.dir;
        match close(dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(directory = %dir.display(), %error, "can't close a job's directory to others");
            }
            _ => {}
        }
    }
}

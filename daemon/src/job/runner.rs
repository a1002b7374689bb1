//! Runs one job to its end: engine, limits of time and lease, result.

use std::sync::Arc;
use std::time::Duration;

use orgplane_proto::limits;
use orgplane_proto::provisioner::v1::result::Payload;
use orgplane_proto::provisioner::v1::{JobErrorCode, Outcome, RejectReason, Result as JobResult};
use prost::Message as _;
use tokio::sync::watch;
use tokio::time::Instant;

use super::logs::Log;
use super::phase::Cause;
use super::terms::Terms;
use super::{Job, Stop};
use crate::engine::{self, Context, Failure, Host};
use crate::exec;
use crate::session::bytes::Link;
use crate::workdir::{ARCHIVE, STEPS, WORK};

/// A result over this is not sent: messages over 1 MiB end the stream.
const MAX_RESULT: usize = 900 * 1024;
const MAX_ERROR: usize = 16 * 1024;
/// The engine is interrupted so long before its lease ends, but not more than this share of it.
const LEASE_MARGIN: Duration = Duration::from_secs(15);
const LEASE_SHARE: u32 = 6;

/// Runs the job. Whatever happens, it ends with a rejection or a result in the job's hands.
pub(crate) async fn run(host: Arc<Host>, job: Arc<Job>, link: Link, terms: watch::Receiver<Terms>) {
    let inner = tokio::spawn(work(host, Arc::clone(&job), link, terms));
    if let Err(error) = inner.await {
        tracing::error!(job = %job.assign.job_id, %error, "a job's task failed");
        let text = "the daemon failed while it ran the job; its log says why".to_owned();
        if job.machine().permitted() {
            job.keep();
        }
        job.finish(JobResult { outcome: Outcome::Lost.into(), error: text, ..JobResult::default() });
    }
    job.end();
}

async fn work(host: Arc<Host>, job: Arc<Job>, link: Link, terms: watch::Receiver<Terms>) {
    let log = Log::start(Arc::clone(&job.spool), terms.borrow().log_limit, job.wake.clone());
    let context = Context::new(host, Arc::clone(&job), log, link);
    let ended = {
        let engine = engine::run(&context);
        tokio::pin!(engine);
        tokio::select! {
            ended = &mut engine => ended,
            () = guard(&job, terms) => engine.await,
        }
    };
    let ended = match ended {
        Err(failure) if context.begun => Err(left_running(&context, failure).await),
        ended => ended,
    };
    context.log.flush().await;
    if matches!(ended, Err(Failure::Lost(_))) && job.machine().permitted() {
        // Nobody knows what is there.
        job.keep();
    }
    if let Some((reason, detail)) = given_back(&job, &ended) {
        tracing::warn!(job = %job.assign.job_id, detail, "job given back");
        job.reject(reason, detail);
        return;
    }
    let (state, timings) = context.take_ledger();
    let mut result = JobResult { state, timings, ..outcome(&job, ended) };
    result.error = context.log.masked(result.error).await;
    let result = bounded(result);
    job.record().ended(&result);
    if !job.machine().permitted() && !job.may_be_permitted() {
        make_room(&job).await;
    }
    job.finish(result);
}

/// Removes what the job worked on before its end is told: the next one may come at once, and need the room.
async fn make_room(job: &Job) {
    let (work, archive) = (job.dir.join(WORK), job.dir.join(ARCHIVE));
    let remove = move || std::fs::remove_dir_all(work).and(std::fs::remove_file(archive));
    match tokio::task::spawn_blocking(remove).await {
        Ok(Err(error)) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(directory = %job.dir.display(), %error, "can't remove what a job worked on");
        }
        _ => {}
    }
}

/// What an earlier daemon began doesn't go on without anybody: it is ended before the job is.
async fn left_running(context: &Context, failure: Failure) -> Failure {
    let (job, host) = (&context.job, &context.host);
    let grace = job.machine().grace(host.plan_grace, host.apply_grace);
    match exec::end_all(&job.dir.join(STEPS), grace).await {
        Ok(true) if job.machine().permitted() => match failure {
            Failure::Job { error, .. } | Failure::Infrastructure(error) | Failure::Lost(error) => Failure::Lost(error),
            Failure::Stopped => Failure::Lost("the job was stopped".to_owned()),
        },
        // Nothing was changed, so nothing is lost.
        Ok(_) => failure,
        Err(error) => Failure::Lost(format!("the engine of an earlier provisioner daemon can't be ended: {error}")),
    }
}

/// Stops the job when its time is up or its lease may be gone. Returns once it did.
async fn guard(job: &Job, mut terms: watch::Receiver<Terms>) {
    let limit = job.assign.time_limit.and_then(|d| Duration::try_from(d).ok()).filter(|d| !d.is_zero());
    let mut permits = job.permits();
    loop {
        let lease_end = lease_end(job, *terms.borrow_and_update());
        let time_end = limit.map(|limit| job.assigned_at + limit);
        let end = time_end.map_or(lease_end, |time| time.min(lease_end));
        tokio::select! {
            () = tokio::time::sleep_until(end) => {}
            Ok(()) = terms.changed() => continue,
            Ok(()) = permits.changed() => continue,
        }
        let stop = match limit.filter(|_| time_end == Some(end)) {
            Some(limit) => Stop {
                cause: Cause::TimeLimit,
                reason: format!("the job ran longer than its time limit of {} seconds", limit.as_secs()),
                grace: None,
            },
            None => Stop {
                cause: Cause::ContactLost,
                reason: "the daemon had no contact with the server for as long as the job's lease lasts".to_owned(),
                grace: None,
            },
        };
        tracing::warn!(job = %job.assign.job_id, reason = stop.reason, "job stopped");
        job.stop(stop);
        return;
    }
}

fn lease_end(job: &Job, terms: Terms) -> Instant {
    let (since, lease) = match job.permitted_at() {
        Some(permitted) => (terms.renewed.max(permitted), terms.apply_lease),
        None => (terms.renewed.max(job.assigned_at), terms.lease),
    };
    since + lease.saturating_sub(LEASE_MARGIN.min(lease / LEASE_SHARE))
}

/// Why another daemon is to have the job: nothing was changed, and it is none of the job's own doing.
fn given_back(job: &Job, ended: &Result<Payload, Failure>) -> Option<(RejectReason, String)> {
    let machine = job.machine();
    let Err(failure) = ended else { return None };
    if machine.permitted() || job.may_be_permitted() {
        return None;
    }
    let reason = match (machine.stopped(), failure) {
        (None, Failure::Infrastructure(detail)) => return Some((RejectReason::Infrastructure, detail.clone())),
        (Some(Cause::ContactLost), _) => RejectReason::Infrastructure,
        (Some(Cause::Shutdown | Cause::KeyRevoked), _) => RejectReason::Draining,
        _ => return None,
    };
    Some((reason, stop_reason(job)))
}

fn stop_reason(job: &Job) -> String {
    job.stops().borrow().as_ref().map(|s| s.reason.clone()).unwrap_or_default()
}

/// What the engine's end means for the job, given why it was stopped, if it was.
fn outcome(job: &Job, ended: Result<Payload, Failure>) -> JobResult {
    let failed = |outcome: Outcome, error: String, code: JobErrorCode| JobResult {
        outcome: outcome.into(),
        error,
        error_code: code.into(),
        ..JobResult::default()
    };
    let machine = job.machine();
    let failure = match ended {
        // It finished anyway, whatever was asked of it meanwhile.
        Ok(payload) => {
            return JobResult { outcome: Outcome::Succeeded.into(), payload: Some(payload), ..JobResult::default() };
        }
        Err(failure) => failure,
    };
    let none = JobErrorCode::Unspecified;
    let mut reason = stop_reason(job);
    if let (Failure::Job { error, .. }, true) = (&failure, machine.stopped().is_some()) {
        let colon = if reason.is_empty() { "" } else { ": " };
        reason = format!("{reason}{colon}{error}");
    }
    match (machine.stopped(), failure) {
        (_, Failure::Lost(error)) if job.is_kept() => {
            failed(Outcome::Lost, format!("{error}; what is left of it is kept in {}", job.dir.display()), none)
        }
        // Not canceled as it should be: somebody has to look after the state.
        (Some(_), Failure::Job { .. }) if job.is_kept() => failed(Outcome::Failed, reason, none),
        (Some(Cause::Canceled), _) => {
            let error = if reason.is_empty() { "canceled".to_owned() } else { reason };
            failed(Outcome::Canceled, error, none)
        }
        (Some(Cause::TimeLimit), _) => failed(Outcome::Failed, reason, none),
        (Some(_), _) => failed(Outcome::Failed, reason, none),
        (None, Failure::Job { error, code }) => failed(Outcome::Failed, error, code),
        (None, Failure::Lost(error)) => failed(Outcome::Lost, error, none),
        (None, Failure::Infrastructure(error)) => failed(Outcome::Failed, error, none),
        (None, Failure::Stopped) => failed(Outcome::Failed, "the job was stopped".to_owned(), none),
    }
}

/// A result that one message can carry.
fn bounded(mut result: JobResult) -> JobResult {
    result.error.truncate(result.error.floor_char_boundary(MAX_ERROR));
    if result.encoded_len() > MAX_RESULT {
        result.timings.clear();
    }
    if result.encoded_len() > MAX_RESULT || result.items() > limits::RESULT_ITEMS {
        result.payload = None;
        result.outcome = Outcome::Failed.into();
        result.error = "the template has more resources than one job can report".to_owned();
    }
    result
}

#[cfg(test)]
mod tests {
    use orgplane_proto::provisioner::v1::{BuildResult, Resource};

    use super::*;

    #[test]
    fn a_result_has_no_more_resources_than_the_server_takes() {
        let with = |count| {
            let build = BuildResult { resources: vec![Resource::default(); count], modules: vec![] };
            let outcome = Outcome::Succeeded.into();
            let payload = Some(Payload::WorkspaceBuild(build));
            bounded(JobResult { outcome, payload, ..JobResult::default() })
        };
        assert_eq!(with(limits::RESULT_ITEMS).outcome(), Outcome::Succeeded);
        let crowded = with(limits::RESULT_ITEMS + 1);
        assert_eq!((crowded.outcome(), crowded.payload), (Outcome::Failed, None));
        assert!(crowded.error.contains("more resources"), "{}", crowded.error);
    }
}

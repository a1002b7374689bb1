//! How jobs end.

use super::report::{leave_behind, take_state};
use super::{Change, locked, write_state};
use crate::domain::error::{Kind, ProtocolFault};
use crate::domain::id::{JobId, OrganizationId};
use crate::domain::job::{
    CancelOutcome, Effect, ErrorCode, Event, Finished, Hold, Lease, LogLevel, Outcome, Report, Rules, Status, Terms,
};
use crate::domain::{Error, Result};
use crate::store::entity::provisioner_job;
use crate::store::{Access as _, Tx, job_log, now};

/// Ends a job with all that it leaves, if it is the organization's, whose daemon says so.
///
/// # Errors
/// Those of [`finish`].
pub async fn hand_in(
    tx: &Tx,
    organization: OrganizationId,
    hold: &Hold,
    report: &Report,
    terms: Terms,
) -> Result<Finished> {
    let job = locked(tx, hold.job).await?.filter(|job| job.organization_id == organization);
    end(tx, job, hold, report, terms).await
}

/// Ends a job with all that it leaves.
///
/// # Errors
/// [`ProtocolFault::ResultBeforeLogs`] before its last line is stored; [`Error::Unavailable`] when the database can't be
/// reached.
pub async fn finish(tx: &Tx, hold: &Hold, report: &Report, terms: Terms) -> Result<Finished> {
    let job = locked(tx, hold.job).await?;
    end(tx, job, hold, report, terms).await
}

async fn end(
    tx: &Tx,
    job: Option<provisioner_job::Model>,
    hold: &Hold,
    report: &Report,
    terms: Terms,
) -> Result<Finished> {
    let Some(job) = job else { return Ok(Finished::Lost) };
    let rules = Rules { now: now(tx).await?, max_attempts: terms.max_attempts };
    let event = Event::ResultReported(hold.lease.clone(), report.outcome);
    let Ok((state, effect)) = job.state().after(&event, rules) else { return Ok(Finished::Lost) };
    if effect == Some(Effect::ConfirmAgain) {
        return Ok(Finished::Already);
    }
    let stored = job_log::next_number(tx, hold.job).await? - 1;
    if stored < report.last_log_number {
        let named = report.last_log_number;
        return Err(Error::Protocol(ProtocolFault::ResultBeforeLogs { job: hold.job, named, stored }));
    }
    let failed = state.status == Status::Failed;
    let change = Change {
        error: if failed { error_text(report) } else { "" },
        error_code: Some(if failed { report.error_code } else { ErrorCode::None }),
        canceled: state.status == Status::Canceled,
    };
    write_state(tx, &job, &state, change).await?;
    if let Some(newest) = &report.state {
        take_state(tx, &job, newest, true).await?;
    }
    leave_behind(tx, &job, report, state.status).await?;
    Ok(Finished::Stored)
}

/// A failure has a reason, even when the daemon names none.
fn error_text(report: &Report) -> &str {
    match (report.error.is_empty(), report.outcome) {
        (false, _) => &report.error,
        (true, Outcome::Lost) => "The provisioner daemon lost the engine and can't tell how the job ended.",
        (true, Outcome::Succeeded | Outcome::Failed | Outcome::Canceled) => {
            "The job failed; its daemon gave no reason."
        }
    }
}

/// Ends a job that the server can't hand out.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn fail(tx: &Tx, hold: &Hold, reason: &str, terms: Terms) -> Result<Finished> {
    let report = Report::failed(reason);
    let finished = finish(tx, hold, &report, terms).await?;
    if finished == Finished::Stored {
        job_log::append_own(tx, hold.job, LogLevel::Error, reason).await?;
    }
    Ok(finished)
}

/// Ends a waiting job as it should, with one line in its log: there is nothing for a daemon to do.
///
/// # Errors
/// [`Error::JobEnded`] when it doesn't wait, or [`Error::Unavailable`] when the database can't be reached.
pub async fn waive(tx: &Tx, id: JobId, reason: &str) -> Result<()> {
    let job = locked(tx, id).await?.ok_or(Error::NotFound(Kind::Job))?;
    // No attempt is made, so it doesn't matter how many there may be.
    let rules = Rules { now: now(tx).await?, max_attempts: 1 };
    let (state, _) = job.state().after(&Event::Waived, rules)?;
    write_state(tx, &job, &state, Change::default()).await?;
    tx.execute("UPDATE provisioner_job SET started_at = completed_at WHERE id = $1", [id.into()]).await?;
    job_log::append_own(tx, id, LogLevel::Warn, reason).await?;
    leave_behind(tx, &job, &Report { outcome: Outcome::Succeeded, ..Report::failed("") }, state.status).await
}

/// Wants a job to stop.
///
/// # Errors
/// [`Error::NotFound`], [`Error::StatusMismatch`], [`Error::JobEnded`], [`Error::JobCanceling`], or
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn request_cancel(tx: &Tx, id: JobId, expected: Option<Status>, terms: Terms) -> Result<CancelOutcome> {
    let job = locked(tx, id).await?.ok_or(Error::NotFound(Kind::Job))?;
    let rules = Rules { now: now(tx).await?, max_attempts: terms.max_attempts };
    let (state, _) = job.state().after(&Event::CancelRequested, rules)?;
    if let Some(expected) = expected.filter(|expected| *expected != job.status) {
        return Err(Error::StatusMismatch { expected: expected.text(), actual: job.status.text() });
    }
    write_state(tx, &job, &state, Change { canceled: true, ..Change::default() }).await?;
    Ok(match state.lease {
        Some(Lease { id: lease, .. }) => CancelOutcome::Canceling(Hold { job: id, lease }),
        None => CancelOutcome::Ended,
    })
}

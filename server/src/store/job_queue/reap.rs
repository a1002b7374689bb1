//! Taking jobs from daemons that aren't heard of any more, and ending those that nobody takes.

use sea_orm::{FromQueryResult as _, Value};

use super::{Change, give_back, locked, write_state};
use crate::domain::error::Kind;
use crate::domain::id::JobId;
use crate::domain::job::{
    Effect, Event, Hold, LogLevel, Reaped, Rejection, Rules, State, Status, Terms, lost_text, released_text,
    requeued_text, stopped_text, untaken_text,
};
use crate::domain::time::micros;
use crate::domain::{Error, Result};
use crate::store::entity::provisioner_job;
use crate::store::error::from_db;
use crate::store::{Access as _, Tx, job_log, now};

/// Jobs in one pass; the next pass comes at once when there are more.
const LIMIT: usize = 100;

/// Takes the jobs whose leases lapsed from their daemons, and ends those that waited too long. Another server may do the
/// same: each takes what the other isn't taking.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn reap(tx: &Tx, terms: Terms) -> Result<Vec<Reaped>> {
    let lapsed = format!(
        "status IN ('running', 'canceling') AND lease_expires_at < {now} ORDER BY lease_expires_at",
        now = tx.dialect().now(),
    );
    let mut reaped = Vec::new();
    for job in due(tx, &lapsed, vec![]).await? {
        reaped.extend(give_up(tx, &job, &Event::LeaseLapsed, terms).await?);
    }
    if let Some(timeout) = terms.pending_timeout {
        // A job changes when it is queued again, and not while it waits.
        let waited =
            format!("status = 'pending' AND updated_at < {now} - $1 ORDER BY updated_at", now = tx.dialect().now());
        for job in due(tx, &waited, vec![micros(timeout).into()]).await? {
            reaped.extend(give_up(tx, &job, &Event::WaitedTooLong, terms).await?);
        }
    }
    Ok(reaped)
}

/// Takes a job back that its daemon, which came back, knows nothing of. Who said something of it had it and lost it; else
/// it was lost on the way to the daemon.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn missed(tx: &Tx, hold: &Hold, terms: Terms) -> Result<()> {
    let held = |job: &provisioner_job::Model| job.lease_id.as_ref() == Some(&hold.lease) && job.status.is_leased();
    let Some(job) = locked(tx, hold.job).await?.filter(held) else { return Ok(()) };
    if !job_log::said_something(tx, hold.job).await? {
        give_back(tx, hold, Rejection::Draining, terms).await?;
    } else if job.apply_permitted_at.is_none() {
        give_up(tx, &job, &Event::LeaseLapsed, terms).await?;
    }
    Ok(())
}

/// Some of the jobs that a condition holds for, held.
async fn due(tx: &Tx, condition: &str, values: Vec<Value>) -> Result<Vec<provisioner_job::Model>> {
    let skip_locked = tx.dialect().skip_locked();
    let sql = format!("SELECT * FROM provisioner_job WHERE {condition} LIMIT {LIMIT} {skip_locked}");
    let rows = tx.query_all(&sql, values).await?;
    rows.iter().map(|row| provisioner_job::Model::from_query_result(row, "").map_err(from_db)).collect()
}

async fn give_up(tx: &Tx, job: &provisioner_job::Model, event: &Event, terms: Terms) -> Result<Option<Reaped>> {
    let rules = Rules { now: now(tx).await?, max_attempts: terms.max_attempts };
    let Ok((state, effect)) = job.state().after(event, rules) else { return Ok(None) };
    let (level, text) = match effect {
        Some(Effect::NoteLost) => (LogLevel::Error, lost_text(&job.worker_name, job.apply_permitted_at.is_some())),
        Some(Effect::NoteRequeued) => {
            (LogLevel::Warn, requeued_text(&job.worker_name, state.losses, terms.max_attempts))
        }
        Some(Effect::NoteStopped) => (LogLevel::Warn, stopped_text(&job.worker_name)),
        Some(Effect::NoteUntaken) => (LogLevel::Error, untaken_text(terms.pending_timeout.unwrap_or_default())),
        Some(Effect::ConfirmAgain) | None => return Ok(None),
    };
    end(tx, job, &state, level, &text).await?;
    Ok(Some(Reaped { job: job.id, status: state.status, lapsed: job.status.is_leased() }))
}

/// Stores what became of a job, with the reason in its log. No lease lives any more, so the line can't come between the
/// daemon's; those that a lost job's daemon still has come after it.
async fn end(tx: &Tx, job: &provisioner_job::Model, state: &State, level: LogLevel, text: &str) -> Result<()> {
    let change = Change {
        error: if state.status == Status::Failed { text } else { "" },
        error_code: None,
        canceled: state.status == Status::Canceled,
    };
    write_state(tx, job, state, change).await?;
    if state.lost.is_some() {
        job_log::append_lost(tx, job.id, level, text).await
    } else {
        job_log::append_own(tx, job.id, level, text).await
    }
}

/// Ends a job whose daemon is out of contact, for somebody of this name.
///
/// # Errors
/// [`Error::NotFound`], [`Error::JobEnded`], [`Error::NotReleasable`], or [`Error::Unavailable`] when the database can't be
/// reached.
pub async fn release(tx: &Tx, id: JobId, by: &str, terms: Terms) -> Result<()> {
    let job = locked(tx, id).await?.ok_or(Error::NotFound(Kind::Job))?;
    let now = now(tx).await?;
    if job.status == Status::Pending {
        return Err(Error::NotReleasable("no provisioner daemon has it"));
    }
    let rules = Rules { now, max_attempts: terms.max_attempts };
    let (state, _) = job.state().after(&Event::Released, rules)?;
    let since = job.silent_since(terms, now).ok_or(Error::NotReleasable("its provisioner daemon is in contact"))?;
    let text = released_text(&job.worker_name, job.apply_permitted_at.is_some(), since, by);
    end(tx, &job, &state, LogLevel::Error, &text).await
}

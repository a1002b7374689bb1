//! Taking jobs from daemons that aren't heard of any more.

use sea_orm::FromQueryResult as _;

use super::{Change, give_back, locked, write_state};
use crate::domain::Result;
use crate::domain::job::{
    Effect, Event, Hold, LogLevel, Reaped, Rejection, Rules, Status, Terms, lost_text, requeued_text,
};
use crate::store::entity::provisioner_job;
use crate::store::error::from_db;
use crate::store::{Access as _, Tx, job_log, now};

/// Jobs in one pass; the next pass comes at once when there are more.
const LIMIT: usize = 100;

/// Takes the jobs whose leases lapsed from their daemons. Another server may do the same: each takes what the other
/// isn't taking.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn reap(tx: &Tx, terms: Terms) -> Result<Vec<Reaped>> {
    let sql = format!(
        "SELECT * FROM provisioner_job WHERE status IN ('running', 'canceling') AND lease_expires_at < {now}
         ORDER BY lease_expires_at LIMIT {LIMIT} {skip_locked}",
        now = tx.dialect().now(),
        skip_locked = tx.dialect().skip_locked(),
    );
    let rules = Rules { now: now(tx).await?, max_attempts: terms.max_attempts };
    let mut reaped = Vec::new();
    for row in tx.query_all(&sql, []).await? {
        let job = provisioner_job::Model::from_query_result(&row, "").map_err(from_db)?;
        reaped.extend(lapse(tx, &job, rules).await?);
    }
    Ok(reaped)
}

/// Takes a job back that its daemon, which came back, knows nothing of. Who said something of it had it and lost it; else
/// it was lost on the way to the daemon.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn missed(tx: &Tx, hold: &Hold, terms: Terms) -> Result<()> {
    let held = |job: &provisioner_job::Model| job.lease_id.as_ref() == Some(&hold.lease) && job.status.is_leased();
    let Some(job) = locked(tx, hold.job).await?.filter(held) else { return Ok(()) };
    if !job_log::said_something(tx, hold.job).await? {
        give_back(tx, hold, Rejection::Draining, terms).await?;
    } else if job.apply_permitted_at.is_none() {
        let rules = Rules { now: now(tx).await?, max_attempts: terms.max_attempts };
        lapse(tx, &job, rules).await?;
    }
    Ok(())
}

/// What becomes of a job whose lease is over, and its line about that.
async fn lapse(tx: &Tx, job: &provisioner_job::Model, rules: Rules) -> Result<Option<Reaped>> {
    let Ok((state, effect)) = job.state().after(&Event::LeaseLapsed, rules) else { return Ok(None) };
    let permitted = job.apply_permitted_at.is_some();
    let lost = lost_text(&job.worker_name, permitted);
    let change = Change {
        error: if state.status == Status::Failed { &lost } else { "" },
        error_code: None,
        canceled: state.status == Status::Canceled,
    };
    write_state(tx, job, &state, change).await?;
    // No lease lives any more, so the line can't come between the daemon's.
    if effect == Some(Effect::NoteLost) {
        job_log::append_own(tx, job.id, LogLevel::Error, &lost).await?;
    } else if effect == Some(Effect::NoteRequeued) {
        let text = requeued_text(&job.worker_name, state.losses, rules.max_attempts);
        job_log::append_own(tx, job.id, LogLevel::Warn, &text).await?;
    }
    Ok(Some(Reaped { job: job.id, status: state.status }))
}

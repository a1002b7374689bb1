//! Keeping jobs, and giving them back.

use sea_orm::{QueryResult, Value};

use super::{CHUNK, Change, find, locked, write_state};
use crate::domain::Result;
use crate::domain::id::{DaemonId, JobId, OrganizationId};
use crate::domain::job::{
    Event, Grip, Hold, JobType, LeaseId, Live, LogLevel, Permit, Rejection, Resumed, Rules, Status, Terms,
    given_back_text,
};
use crate::domain::time::micros;
use crate::store::error::from_db;
use crate::store::{Access, Tx, job_log, placeholders};

/// Prolongs leases from now; returns those that live.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn renew(tx: &Tx, holds: &[Hold], terms: Terms) -> Result<Vec<Live>> {
    prolong(tx, None, holds, terms).await
}

/// The same; of one organization only, where one is named.
async fn prolong(tx: &Tx, organization: Option<OrganizationId>, holds: &[Hold], terms: Terms) -> Result<Vec<Live>> {
    let mut live = Vec::with_capacity(holds.len());
    for chunk in holds.chunks(CHUNK) {
        let mut values: Vec<Value> = vec![micros(terms.lease).into(), micros(terms.apply_lease).into()];
        let mut held = held(&mut values, chunk);
        if let Some(organization) = organization {
            values.push(organization.into());
            held = format!("{held} AND organization_id = ${}", values.len());
        }
        let sql = format!(
            "UPDATE provisioner_job
             SET lease_expires_at = {now} + CASE WHEN apply_permitted_at IS NULL THEN $1 ELSE $2 END
             WHERE {held} RETURNING id, lease_id, status",
            now = tx.dialect().now(),
        );
        live.extend(read(&tx.query_all(&sql, values).await?)?);
    }
    Ok(live)
}

/// The leases that live, as they are.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn live(db: &impl Access, holds: &[Hold]) -> Result<Vec<Live>> {
    let mut live = Vec::with_capacity(holds.len());
    for chunk in holds.chunks(CHUNK) {
        let mut values = Vec::new();
        let sql = format!("SELECT id, lease_id, status FROM provisioner_job WHERE {}", held(&mut values, chunk));
        live.extend(read(&db.query_all(&sql, values).await?)?);
    }
    Ok(live)
}

/// The condition that a job is under one of these leases, whose values it adds. Leases are never used twice, so the
/// pairs needn't be compared as pairs.
fn held(values: &mut Vec<Value>, holds: &[Hold]) -> String {
    let (ids, leases) = (values.len() + 1, values.len() + 1 + holds.len());
    values.extend(holds.iter().map(|hold| Value::from(hold.job)));
    values.extend(holds.iter().map(|hold| Value::from(hold.lease.clone())));
    format!(
        "id IN ({}) AND lease_id IN ({}) AND status IN ('running', 'canceling')",
        placeholders(ids, holds.len()),
        placeholders(leases, holds.len()),
    )
}

fn read(rows: &[QueryResult]) -> Result<Vec<Live>> {
    let live = |row: &QueryResult| {
        let status: Status = row.try_get_by_index(2)?;
        let hold = Hold { job: row.try_get_by_index(0)?, lease: row.try_get_by_index(1)? };
        Ok(Live { hold, canceling: status == Status::Canceling })
    };
    rows.iter().map(live).collect::<std::result::Result<_, sea_orm::DbErr>>().map_err(from_db)
}

/// Which of the jobs that a daemon of the organization still holds it isn't done with; those that go on are prolonged from
/// now. A job that its result ended is among them, so that the daemon hears so, and one that was lost after its permit.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn resume(tx: &Tx, organization: OrganizationId, holds: &[Hold], terms: Terms) -> Result<Vec<Resumed>> {
    if holds.is_empty() {
        return Ok(Vec::new());
    }
    prolong(tx, Some(organization), holds, terms).await?;
    let mut values: Vec<Value> = vec![organization.into()];
    values.extend(holds.iter().map(|hold| hold.job.into()));
    let sql = format!(
        "SELECT job.id, COALESCE(job.lease_id, job.lost_lease_id), job.status, head.next_number - head.shift,
             job.lease_id IS NULL
         FROM provisioner_job AS job JOIN job_log_head AS head ON head.job_id = job.id
         WHERE job.organization_id = $1 AND COALESCE(job.lease_id, job.lost_lease_id) IS NOT NULL AND job.id IN ({})",
        placeholders(2, holds.len())
    );
    let mut resumed = Vec::new();
    for row in tx.query_all(&sql, values).await? {
        let (job, lease): (JobId, LeaseId) =
            (row.try_get_by_index(0).map_err(from_db)?, row.try_get_by_index(1).map_err(from_db)?);
        let status: Status = row.try_get_by_index(2).map_err(from_db)?;
        let hold = Hold { job, lease };
        if holds.contains(&hold) {
            let lost: bool = row.try_get_by_index(4).map_err(from_db)?;
            let next_log_number = row.try_get_by_index(3).map_err(from_db)?;
            resumed.push(Resumed { hold, next_log_number, grip: Grip::of(status, lost) });
        }
    }
    Ok(resumed)
}

/// Asks whether changing things is permitted, and notes the plan's cost on the build.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn permit(tx: &Tx, hold: &Hold, daily_cost: i32, terms: Terms) -> Result<Permit> {
    let now = tx.dialect().now();
    let sql = format!(
        "UPDATE provisioner_job SET apply_permitted_at = COALESCE(apply_permitted_at, {now}),
             lease_expires_at = {now} + $3, updated_at = {now}
         WHERE id = $1 AND lease_id = $2 AND status = 'running' AND type = $4"
    );
    let build = Value::from(JobType::Build);
    let values = [hold.job.into(), hold.lease.clone().into(), micros(terms.apply_lease).into(), build];
    if tx.execute(&sql, values).await? == 1 {
        let sql = format!("UPDATE workspace_build SET daily_cost = $2, updated_at = {now} WHERE job_id = $1");
        tx.execute(&sql, [hold.job.into(), daily_cost.into()]).await?;
        return Ok(Permit::Go);
    }
    let job = find(tx, hold.job).await?.filter(|job| job.lease_id.as_ref() == Some(&hold.lease));
    Ok(match job.map(|job| job.status) {
        Some(Status::Canceling) => Permit::Canceled,
        Some(Status::Pending | Status::Running | Status::Succeeded | Status::Failed | Status::Canceled) | None => {
            Permit::Lost
        }
    })
}

/// Takes a job back that its daemon didn't start; false when the daemon hasn't it.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn give_back(tx: &Tx, hold: &Hold, reason: Rejection, terms: Terms) -> Result<bool> {
    let Some(job) = locked(tx, hold.job).await? else { return Ok(false) };
    let rules = Rules { now: crate::store::now(tx).await?, max_attempts: terms.max_attempts };
    let event = Event::GaveBack(hold.lease.clone(), reason);
    let Ok((state, _)) = job.state().after(&event, rules) else { return Ok(false) };
    write_state(tx, &job, &state, Change::default()).await?;
    if state.status == Status::Pending && job_log::said_something(tx, job.id).await? {
        job_log::append_own(tx, job.id, LogLevel::Warn, &given_back_text(&job.worker_name)).await?;
    }
    Ok(true)
}

/// The jobs that a daemon was given and that weren't permitted to change anything yet.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn unpermitted_of(db: &impl Access, worker: DaemonId) -> Result<Vec<Hold>> {
    let sql = "SELECT id, lease_id FROM provisioner_job
         WHERE worker_id = $1 AND status IN ('running', 'canceling') AND apply_permitted_at IS NULL";
    let rows = db.query_all(sql, [worker.into()]).await?;
    let hold = |row: &QueryResult| Ok(Hold { job: row.try_get_by_index(0)?, lease: row.try_get_by_index(1)? });
    rows.iter().map(hold).collect::<std::result::Result<_, sea_orm::DbErr>>().map_err(from_db)
}

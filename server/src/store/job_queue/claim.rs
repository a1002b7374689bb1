//! Which job is next, and giving it to a daemon.

use std::time::Duration;

use sea_orm::Value;

use super::placeholders;
use crate::domain::Result;
use crate::domain::engine::Engine;
use crate::domain::id::{JobId, OrganizationId};
use crate::domain::job::{Claimed, Group, Hold, LeaseId, Slot};
use crate::domain::time::micros;
use crate::store::error::from_db;
use crate::store::{Access, Tx};

/// Automatic work stands back for what people wait for, but not longer than this.
const STAND_BACK: Duration = Duration::from_secs(10 * 60);

/// The common table expression that [`order`] counts in: how many jobs of each initiator run in an organization.
pub(crate) const BUSY: &str = "busy AS (
    SELECT organization_id, initiator_id, COUNT(*) AS jobs FROM provisioner_job
    WHERE status IN ('running', 'canceling') GROUP BY organization_id, initiator_id)";

/// The order of waiting jobs `job`, everywhere: people's before automatic ones that are young, then those whose initiator
/// has the fewest running, then the oldest.
pub(crate) fn order(db: &impl Access) -> String {
    format!(
        "CASE WHEN job.automatic AND job.created_at > {now} - {stand_back} THEN 1 ELSE 0 END,
         COALESCE((SELECT busy.jobs FROM busy WHERE busy.organization_id = job.organization_id
                   AND busy.initiator_id = job.initiator_id), 0),
         job.created_at, job.id",
        now = db.dialect().now(),
        stand_back = micros(STAND_BACK),
    )
}

/// The groups of waiting jobs of these organizations, the one with the oldest job first.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn groups(db: &impl Access, organizations: &[OrganizationId]) -> Result<Vec<Group>> {
    if organizations.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT organization_id, engine, tags FROM provisioner_job
         WHERE status = 'pending' AND organization_id IN ({})
         GROUP BY organization_id, engine, tags
         ORDER BY MIN(CASE WHEN automatic AND created_at > {now} - {stand_back} THEN 1 ELSE 0 END), MIN(created_at)
         LIMIT 1000",
        placeholders(1, organizations.len()),
        now = db.dialect().now(),
        stand_back = micros(STAND_BACK),
    );
    let values: Vec<Value> = organizations.iter().map(|id| Value::from(*id)).collect();
    let rows = db.query_all(&sql, values).await?;
    rows.iter()
        .map(|row| {
            Ok(Group {
                organization: row.try_get_by_index(0).map_err(from_db)?,
                engine: row.try_get_by_index::<Engine>(1).map_err(from_db)?,
                tags: row.try_get_by_index(2).map_err(from_db)?,
            })
        })
        .collect()
}

/// Gives the next jobs of a group to slots, in one statement.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn claim(tx: &Tx, group: &Group, slots: &[Slot], lease: Duration) -> Result<Vec<Claimed>> {
    if slots.is_empty() {
        return Ok(Vec::new());
    }
    let mut values: Vec<Value> = vec![
        group.organization.into(),
        group.engine.into(),
        group.tags.clone().into(),
        i64::try_from(slots.len()).unwrap_or(i64::MAX).into(),
        micros(lease).into(),
    ];
    let mut rows = Vec::with_capacity(slots.len());
    for (number, slot) in slots.iter().enumerate() {
        let at = values.len();
        rows.push(format!("({}, ${}, ${}, ${})", number + 1, at + 1, at + 2, at + 3));
        values.extend([LeaseId::new().into(), slot.worker.into(), slot.worker_name.clone().into()]);
    }
    let sql = format!(
        "WITH {BUSY},
         slot (number, lease_id, worker_id, worker_name) AS (VALUES {rows}),
         next AS (SELECT job.id FROM provisioner_job AS job
                  WHERE job.organization_id = $1 AND job.engine = $2 AND job.tags = $3 AND job.status = 'pending'
                  ORDER BY {order} LIMIT $4 {skip_locked}),
         numbered AS (SELECT id, row_number() OVER () AS number FROM next)
         UPDATE provisioner_job SET status = 'running', attempt = attempt + 1, lease_id = slot.lease_id,
             lease_expires_at = {now} + $5, worker_id = slot.worker_id, worker_name = slot.worker_name,
             apply_permitted_at = NULL, started_at = COALESCE(started_at, {now}), updated_at = {now}
         FROM numbered JOIN slot ON slot.number = numbered.number
         WHERE provisioner_job.id = numbered.id AND provisioner_job.status = 'pending'
         RETURNING provisioner_job.id, provisioner_job.lease_id, provisioner_job.worker_id, provisioner_job.attempt",
        rows = rows.join(", "),
        order = order(tx),
        skip_locked = tx.dialect().skip_locked(),
        now = tx.dialect().now(),
    );
    let claimed = tx.query_all(&sql, values).await?;
    claimed
        .iter()
        .map(|row| {
            let (job, lease): (JobId, LeaseId) =
                (row.try_get_by_index(0).map_err(from_db)?, row.try_get_by_index(1).map_err(from_db)?);
            Ok(Claimed {
                hold: Hold { job, lease },
                worker: row.try_get_by_index(2).map_err(from_db)?,
                attempt: row.try_get_by_index(3).map_err(from_db)?,
            })
        })
        .collect()
}

//! Which job is next, and giving it to a daemon.

use std::collections::HashMap;
use std::time::Duration;

use sea_orm::{DbErr, QueryResult, Value};

use crate::domain::Result;
use crate::domain::engine::Engine;
use crate::domain::id::{JobId, OrganizationId};
use crate::domain::job::{Claimed, Fits, Group, Hold, LeaseId, Slot};
use crate::domain::time::micros;
use crate::store::error::from_db;
use crate::store::placeholders;
use crate::store::{Access, Tx};

/// Automatic work stands back for what people wait for, but not longer than this.
const STAND_BACK: Duration = Duration::from_secs(10 * 60);

/// Groups in one look.
const PAGE: usize = 500;

/// Groups of one organization in one pass. Each takes at least one slot, and few organizations have so many.
const GROUPS: usize = 256;

/// What groups are ordered by: [`rank`] of their first jobs.
type Rank = (i32, i64, i64);

/// The common table expression that [`order`] counts in: how many jobs of each initiator run in an organization.
pub(super) const BUSY: &str = "busy AS (
    SELECT organization_id, initiator_id, COUNT(*) AS jobs FROM provisioner_job
    WHERE status IN ('running', 'canceling') GROUP BY organization_id, initiator_id)";

/// What [`order`] compares, before the ids.
fn rank(db: &impl Access) -> [String; 3] {
    let (now, stand_back) = (db.dialect().now(), micros(STAND_BACK));
    [
        format!("CASE WHEN job.automatic AND job.created_at > {now} - {stand_back} THEN 1 ELSE 0 END"),
        "COALESCE((SELECT busy.jobs FROM busy WHERE busy.organization_id = job.organization_id
                   AND busy.initiator_id = job.initiator_id), 0)"
            .to_owned(),
        "job.created_at".to_owned(),
    ]
}

/// The order of waiting jobs `job`, everywhere: people's before automatic ones that are young, then those whose initiator
/// has the fewest running, then the oldest.
pub(super) fn order(db: &impl Access) -> String {
    format!("{}, job.id", rank(db).join(", "))
}

/// The first groups of each organization that fit, the one whose first job is next before the others. It looks at all
/// groups, page by page: however many wait for daemons that aren't there, they don't hide the others.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn groups(db: &impl Access, organizations: &[OrganizationId], fits: Fits<'_>) -> Result<Vec<Group>> {
    let mut first: HashMap<OrganizationId, Vec<(Rank, Group)>> = HashMap::new();
    let mut after = None;
    loop {
        let page = page(db, organizations, after.as_ref()).await?;
        let last = page.last().map(|(_, group)| group.clone());
        let full = page.len() == PAGE;
        for (rank, group) in page.into_iter().filter(|(_, group)| fits(group)) {
            first.entry(group.organization).or_default().push((rank, group));
        }
        for groups in first.values_mut() {
            groups.sort_by_key(|(rank, _)| *rank);
            groups.truncate(GROUPS);
        }
        if !full {
            let mut all: Vec<_> = first.into_values().flatten().collect();
            all.sort_by_key(|(rank, _)| *rank);
            return Ok(all.into_iter().map(|(_, group)| group).collect());
        }
        after = last;
    }
}

/// The groups after one of them, as the index has them, with the ranks of their first jobs.
async fn page(db: &impl Access, organizations: &[OrganizationId], after: Option<&Group>) -> Result<Vec<(Rank, Group)>> {
    if organizations.is_empty() {
        return Ok(Vec::new());
    }
    let mut values: Vec<Value> = organizations.iter().map(|id| Value::from(*id)).collect();
    let mut behind = String::new();
    if let Some(Group { organization, engine, tags }) = after {
        behind = format!("AND (organization_id, engine, tags) > ({})", placeholders(values.len() + 1, 3));
        values.extend([(*organization).into(), (*engine).into(), tags.clone().into()]);
    }
    let [young, running, created_at] = rank(db);
    // Of an initiator's jobs in a group only the oldest can be the group's first, so only those are compared.
    let sql = format!(
        "WITH {BUSY},
         page AS (SELECT organization_id, engine, tags FROM provisioner_job
                  WHERE status = 'pending' AND organization_id IN ({places}) {behind}
                  GROUP BY organization_id, engine, tags ORDER BY organization_id, engine, tags LIMIT {PAGE}),
         job AS (SELECT own.organization_id, own.engine, own.tags, own.initiator_id, own.automatic,
                     MIN(own.created_at) AS created_at
                 FROM page JOIN provisioner_job AS own ON own.organization_id = page.organization_id
                     AND own.engine = page.engine AND own.tags = page.tags
                 WHERE own.status = 'pending'
                 GROUP BY own.organization_id, own.engine, own.tags, own.initiator_id, own.automatic),
         ranked AS (SELECT job.organization_id, job.engine, job.tags, {young} AS young, {running} AS running,
                        {created_at} AS created_at,
                        row_number() OVER (PARTITION BY job.organization_id, job.engine, job.tags
                                           ORDER BY {young}, {running}, {created_at}) AS place
                    FROM job)
         SELECT organization_id, engine, tags, young, running, created_at FROM ranked WHERE place = 1
         ORDER BY organization_id, engine, tags",
        places = placeholders(1, organizations.len()),
    );
    let read = |row: &QueryResult| {
        let group = Group {
            organization: row.try_get_by_index(0)?,
            engine: row.try_get_by_index::<Engine>(1)?,
            tags: row.try_get_by_index(2)?,
        };
        Ok(((row.try_get_by_index(3)?, row.try_get_by_index(4)?, row.try_get_by_index(5)?), group))
    };
    db.query_all(&sql, values).await?.iter().map(read).collect::<std::result::Result<_, DbErr>>().map_err(from_db)
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

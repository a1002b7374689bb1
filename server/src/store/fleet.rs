//! What the whole deployment has to do and who is there for it, counted in one statement for whoever watches.

use std::time::Duration;

use super::Access;
use super::error::from_db;
use crate::domain::tags::Tags;
use crate::domain::time::micros;
use crate::domain::{Result, Timestamp};

/// Tag sets that are counted apart, for each kind: the largest ones. Anybody who may queue jobs can make up tags.
const APART: i32 = 100;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Kind {
    PendingJobs,
    RunningJobs,
    OfflineDaemons,
    IdleDaemons,
    BusyDaemons,
}

/// How many there are of a kind, of an organization and a tag set.
#[derive(Debug, Clone)]
pub struct Count {
    /// The kind.
    pub kind: Kind,
    /// The organization's name and the tags; none for all that aren't counted apart.
    pub of: Option<(String, Tags)>,
    /// How many.
    pub count: i64,
    /// How long the first of these jobs has been pending or running.
    pub age: Duration,
}

/// Everything, with the time after which daemons that weren't heard of are offline.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn count(db: &impl Access, contact_lost_after: Duration) -> Result<Vec<Count>> {
    let now = db.dialect().now();
    let sql = format!(
        "WITH counted AS (
             SELECT 'pending' AS kind, organization_id, tags, COUNT(*) AS amount, MIN(created_at) AS first_at
             FROM provisioner_job WHERE status = 'pending' GROUP BY organization_id, tags
             UNION ALL
             SELECT 'running', organization_id, tags, COUNT(*), MIN(started_at)
             FROM provisioner_job WHERE status IN ('running', 'canceling') GROUP BY organization_id, tags
             UNION ALL
             SELECT state, organization_id, tags, COUNT(*), NULL FROM (
                 SELECT organization_id, tags, CASE
                     WHEN left_at IS NOT NULL OR last_seen_at IS NULL OR last_seen_at < {now} - $1 THEN 'offline'
                     WHEN id IN (SELECT worker_id FROM provisioner_job WHERE status IN ('running', 'canceling'))
                         THEN 'busy'
                     ELSE 'idle' END AS state
                 FROM provisioner_daemon
             ) AS daemons GROUP BY state, organization_id, tags
         ), ranked AS (
             SELECT kind, organization_id, tags, amount, first_at,
                 ROW_NUMBER() OVER (PARTITION BY kind ORDER BY amount DESC, organization_id, tags) <= $2 AS apart
             FROM counted
         ), merged AS (
             SELECT kind, CASE WHEN apart THEN organization_id END AS organization_id,
                 CASE WHEN apart THEN tags END AS tags, CAST(SUM(amount) AS bigint) AS amount,
                 MIN(first_at) AS first_at
             FROM ranked GROUP BY 1, 2, 3
         )
         SELECT kind, name, tags, amount, first_at, {now}
         FROM merged LEFT JOIN organization ON organization.id = merged.organization_id"
    );
    let rows = db.query_all(&sql, [micros(contact_lost_after).into(), APART.into()]).await?;
    rows.iter().map(|row| read(row).map_err(from_db)).collect()
}

fn read(row: &sea_orm::QueryResult) -> Result<Count, sea_orm::DbErr> {
    let kind: String = row.try_get_by_index(0)?;
    let kind = match kind.as_str() {
        "pending" => Kind::PendingJobs,
        "running" => Kind::RunningJobs,
        "offline" => Kind::OfflineDaemons,
        "busy" => Kind::BusyDaemons,
        _ => Kind::IdleDaemons,
    };
    let (name, tags): (Option<String>, Option<Tags>) = (row.try_get_by_index(1)?, row.try_get_by_index(2)?);
    let (first_at, now): (Option<Timestamp>, Timestamp) = (row.try_get_by_index(4)?, row.try_get_by_index(5)?);
    Ok(Count {
        kind,
        of: name.zip(tags),
        count: row.try_get_by_index(3)?,
        age: first_at.map(|first_at| now.since(first_at)).unwrap_or_default(),
    })
}

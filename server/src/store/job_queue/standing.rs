//! Where waiting jobs stand, counted where they are.

use std::collections::HashMap;

use sea_orm::{DbErr, QueryResult, Value};

use super::claim::{BUSY, order};
use crate::domain::Result;
use crate::domain::id::{JobId, OrganizationId};
use crate::domain::job::{Group, Lines, Standing};
use crate::store::Access;
use crate::store::error::from_db;
use crate::store::placeholders;

/// Groups that are looked at; databases bound the parameters of one statement.
const GROUPS: usize = 5000;

/// The groups of the jobs that wait in organizations.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn waiting_groups(db: &impl Access, organizations: &[OrganizationId]) -> Result<Vec<Group>> {
    if organizations.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT organization_id, engine, tags FROM provisioner_job
         WHERE status = 'pending' AND organization_id IN ({}) GROUP BY organization_id, engine, tags LIMIT {GROUPS}",
        placeholders(1, organizations.len()),
    );
    let values: Vec<Value> = organizations.iter().map(|id| Value::from(*id)).collect();
    let read = |row: &QueryResult| {
        Ok(Group {
            organization: row.try_get_by_index(0)?,
            engine: row.try_get_by_index(1)?,
            tags: row.try_get_by_index(2)?,
        })
    };
    db.query_all(&sql, values).await?.iter().map(read).collect::<Result<_, DbErr>>().map_err(from_db)
}

/// Where these jobs stand, each in its line, in the order of claims. Those that don't wait any more stand nowhere.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn standings(
    db: &impl Access,
    groups: &[Group],
    lines: &Lines,
    jobs: &[(JobId, usize)],
) -> Result<HashMap<JobId, Standing>> {
    let mut standings = HashMap::with_capacity(jobs.len());
    for some in jobs.chunks(GROUPS) {
        if some.is_empty() {
            continue;
        }
        let mut values: Vec<Value> = Vec::with_capacity(3 * groups.len() + some.len());
        let mut waiting = Vec::with_capacity(groups.len());
        for (number, Group { organization, engine, tags }) in groups.iter().enumerate() {
            waiting.push(format!("({number}, {})", placeholders(values.len() + 1, 3)));
            values.extend([(*organization).into(), (*engine).into(), tags.clone().into()]);
        }
        let asked: Vec<usize> = some.iter().map(|(_, line)| *line).collect();
        let stands = (0..lines.groups.len()).filter(|line| asked.contains(line));
        let stands: Vec<String> =
            stands.flat_map(|line| lines.groups[line].iter().map(move |group| format!("({line}, {group})"))).collect();
        let mut wanted = Vec::with_capacity(some.len());
        for (job, line) in some {
            values.push((*job).into());
            wanted.push(format!("(${}, {line})", values.len()));
        }
        let sql = format!(
            "WITH {BUSY},
             waiting (number, organization_id, engine, tags) AS (VALUES {waiting}),
             stands (line, number) AS (VALUES {stands}),
             wanted (id, line) AS (VALUES {wanted}),
             placed AS (
                 SELECT job.id, stands.line, row_number() OVER (PARTITION BY stands.line ORDER BY {order}) AS place,
                     COUNT(*) OVER (PARTITION BY stands.line) AS size
                 FROM stands JOIN waiting ON waiting.number = stands.number
                 JOIN provisioner_job AS job ON job.organization_id = waiting.organization_id
                     AND job.engine = waiting.engine AND job.tags = waiting.tags
                 WHERE job.status = 'pending')
             SELECT placed.id, placed.place, placed.size
             FROM wanted JOIN placed ON placed.id = wanted.id AND placed.line = wanted.line",
            waiting = waiting.join(", "),
            stands = stands.join(", "),
            wanted = wanted.join(", "),
            order = order(db),
        );
        for row in db.query_all(&sql, values).await? {
            let number = |index: usize| -> Result<i32> {
                let number: i64 = row.try_get_by_index(index).map_err(from_db)?;
                Ok(i32::try_from(number).unwrap_or(i32::MAX))
            };
            let standing = Standing { position: number(1)?, size: number(2)? };
            standings.insert(row.try_get_by_index(0).map_err(from_db)?, standing);
        }
    }
    Ok(standings)
}

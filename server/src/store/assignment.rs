//! What daemons need of jobs that they were given. Two queries for any number of jobs.

use std::collections::HashMap;

use sea_orm::{ColumnTrait as _, EntityTrait as _, FromQueryResult, QueryFilter as _, QueryOrder as _, Value};
use uuid::Uuid;

use super::Access;
use super::entity::template_version_variable;
use super::error::from_db;
use crate::domain::Result;
use crate::domain::engine::Engine;
use crate::domain::id::{JobId, TemplateVersionId};
use crate::domain::job::JobType;
use crate::domain::workspace::Transition;

/// A job with what its daemon needs, but names and variables.
#[derive(Debug, Clone, FromQueryResult)]
#[allow(missing_docs)]
pub struct Row {
    pub id: Uuid,
    pub organization_id: Uuid,
    pub job_type: JobType,
    pub engine: Engine,
    pub next_number: i64,
    pub archive_sha256: String,
    pub archive_size: i64,
    pub template_version_id: Option<Uuid>,
    /// Of the version.
    pub user_variable_values: Option<Vec<u8>>,
    /// Of the dry run.
    pub dry_run_values: Option<Vec<u8>>,
    /// The name that the dry run's workspace would have.
    pub dry_run_workspace: Option<String>,
    /// Of the version: what its import chose.
    pub lock_file: Option<String>,
    pub build_id: Option<Uuid>,
    pub transition: Option<Transition>,
    pub state_sha256: Option<String>,
    pub state_lineage: Option<String>,
    pub state_serial: Option<i64>,
    pub state_size: Option<i64>,
}

/// The jobs of a batch.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn find(db: &impl Access, jobs: &[JobId]) -> Result<HashMap<JobId, Row>> {
    let places = (1..=jobs.len()).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ");
    let sql = format!(
        "SELECT job.id, job.organization_id, job.type AS job_type, job.engine, head.next_number,
             archive.sha256 AS archive_sha256, archive.size AS archive_size, version.id AS template_version_id,
             version.user_variable_values, version.lock_file, dry_run.user_variable_values AS dry_run_values,
             dry_run.workspace_name AS dry_run_workspace, build.id AS build_id, build.transition, build.state_sha256,
             build.state_lineage, build.state_serial, state.size AS state_size
         FROM provisioner_job AS job
         JOIN job_log_head AS head ON head.job_id = job.id
         JOIN file ON file.id = job.file_id
         JOIN blob AS archive ON archive.sha256 = file.sha256
         LEFT JOIN dry_run ON dry_run.job_id = job.id
         LEFT JOIN workspace_build AS build ON build.id = job.workspace_build_id
         LEFT JOIN template_version AS version
             ON version.id = COALESCE(job.template_version_id, build.template_version_id)
         LEFT JOIN blob AS state ON state.sha256 = build.state_sha256
         WHERE job.id IN ({places})"
    );
    let values: Vec<Value> = jobs.iter().map(|id| Value::from(*id)).collect();
    let rows = db.query_all(&sql, values).await?;
    let read = |row: &sea_orm::QueryResult| Row::from_query_result(row, "").map(|row| (JobId(row.id), row));
    rows.iter().map(read).collect::<std::result::Result<_, _>>().map_err(from_db)
}

/// The variables of versions, in their order.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn variables(
    db: &impl Access,
    versions: Vec<TemplateVersionId>,
) -> Result<Vec<template_version_variable::Model>> {
    if versions.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for some in versions.chunks(super::IDS) {
        let query = template_version_variable::Entity::find()
            .filter(template_version_variable::Column::TemplateVersionId.is_in(some.iter().copied()))
            .order_by_asc(template_version_variable::Column::Position);
        found.extend(query.all(&db.executor()).await.map_err(from_db)?);
    }
    Ok(found)
}

/// Whether bytes are the archive or the state of a job that is under this lease.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn refers(db: &impl Access, hold: &crate::domain::job::Hold, sha256: &str) -> Result<bool> {
    let sql = "SELECT 1 FROM provisioner_job AS job JOIN file ON file.id = job.file_id
         LEFT JOIN workspace_build AS build ON build.id = job.workspace_build_id
         WHERE job.id = $1 AND job.lease_id = $2 AND job.status IN ('running', 'canceling')
             AND (file.sha256 = $3 OR build.state_sha256 = $3)";
    let row = db.query_one(sql, [hold.job.into(), hold.lease.clone().into(), sha256.into()]).await?;
    Ok(row.is_some())
}

/// The organization of a job that is under this lease, whose holder may write, or was lost under it after its permit.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn organization_of(
    db: &impl Access,
    hold: &crate::domain::job::Hold,
) -> Result<Option<crate::domain::id::OrganizationId>> {
    let sql = "SELECT organization_id FROM provisioner_job
         WHERE id = $1 AND (lease_id = $2 AND status IN ('running', 'canceling') OR lost_lease_id = $2)";
    let row = db.query_one(sql, [hold.job.into(), hold.lease.clone().into()]).await?;
    row.map(|row| row.try_get_by_index(0)).transpose().map_err(from_db)
}

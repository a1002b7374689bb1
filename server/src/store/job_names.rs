//! What jobs are about: templates, workspaces, people, by name. One query for any number of jobs.

use std::collections::HashMap;

use sea_orm::{FromQueryResult, Value};
use uuid::Uuid;

use super::Access;
use super::error::from_db;
use crate::domain::Result;
use crate::domain::id::JobId;
use crate::domain::workspace::Transition;

/// What a job is about; absent where it has none.
#[derive(Debug, Clone, FromQueryResult)]
#[allow(missing_docs)]
pub struct JobNames {
    pub id: Uuid,
    pub organization_name: String,
    pub initiator_name: String,
    pub template_version_id: Option<Uuid>,
    pub template_version_name: Option<String>,
    pub template_id: Option<Uuid>,
    pub template_name: Option<String>,
    pub template_display_name: Option<String>,
    pub template_icon: Option<String>,
    pub workspace_id: Option<Uuid>,
    pub workspace_name: Option<String>,
    pub transition: Option<Transition>,
    pub owner_id: Option<Uuid>,
    pub owner_name: Option<String>,
    pub owner_email: Option<String>,
}

/// The names of jobs.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn find(db: &impl Access, jobs: &[JobId]) -> Result<HashMap<JobId, JobNames>> {
    let mut names = HashMap::with_capacity(jobs.len());
    for chunk in jobs.chunks(5000) {
        let places = (1..=chunk.len()).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ");
        let sql = format!(
            "SELECT job.id, organization.name AS organization_name, initiator.username AS initiator_name,
                 version.id AS template_version_id, version.name AS template_version_name,
                 template.id AS template_id, template.name AS template_name,
                 template.display_name AS template_display_name, template.icon AS template_icon,
                 workspace.id AS workspace_id, workspace.name AS workspace_name, build.transition AS transition,
                 owner.id AS owner_id, owner.username AS owner_name, owner.email AS owner_email
             FROM provisioner_job AS job
             JOIN organization ON organization.id = job.organization_id
             JOIN user_account AS initiator ON initiator.id = job.initiator_id
             LEFT JOIN workspace_build AS build ON build.id = job.workspace_build_id
             LEFT JOIN template_version AS version
                 ON version.id = COALESCE(job.template_version_id, build.template_version_id)
             LEFT JOIN template ON template.id = version.template_id
             LEFT JOIN workspace ON workspace.id = build.workspace_id
             LEFT JOIN user_account AS owner ON owner.id = CASE
                 WHEN job.type = 'template_version_dry_run' THEN job.initiator_id ELSE workspace.owner_id END
             WHERE job.id IN ({places})"
        );
        let values: Vec<Value> = chunk.iter().map(|id| Value::from(*id)).collect();
        for row in db.query_all(&sql, values).await? {
            let row = JobNames::from_query_result(&row, "").map_err(from_db)?;
            names.insert(JobId(row.id), row);
        }
    }
    Ok(names)
}

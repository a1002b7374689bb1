//! Jobs, as records. What happens to them once they wait goes through `dispatch::queue`.

use sea_orm::ActiveValue::Set;
use sea_orm::{ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, QueryFilter as _};

use super::entity::{job_log_head, provisioner_job};
use super::error::from_db;
use super::{Access, Tx, now};
use crate::domain::Result;
use crate::domain::engine::Engine;
use crate::domain::id::{FileId, JobId, OrganizationId, UserId};
use crate::domain::job::{ErrorCode, Input, Status};
use crate::domain::tags::Tags;

/// A job to be.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// Made by the caller, so that what the job works on can name it.
    pub id: JobId,
    /// Whose daemons do it.
    pub organization_id: OrganizationId,
    /// Who asked for it.
    pub initiator_id: UserId,
    /// What it works on.
    pub input: Input,
    /// What does it.
    pub engine: Engine,
    /// Which daemons may.
    pub tags: Tags,
    /// Nobody waits for it: it goes behind what people wait for.
    pub automatic: bool,
    /// The template's source.
    pub file_id: FileId,
}

/// Stores a job, waiting, with an empty log. After the commit, wake the dispatcher.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn insert(tx: &Tx, new: NewJob) -> Result<provisioner_job::Model> {
    let NewJob { id, organization_id, initiator_id, input, engine, tags, automatic, file_id } = new;
    let created_at = now(tx).await?;
    let (template_version_id, workspace_build_id) = match input {
        Input::Import(version) | Input::DryRun(version) => (Some(version), None),
        Input::Build(build) => (None, Some(build)),
    };
    let job = provisioner_job::ActiveModel {
        id: Set(id),
        organization_id: Set(organization_id),
        initiator_id: Set(initiator_id),
        job_type: Set(input.job_type()),
        engine: Set(engine),
        tags: Set(tags),
        automatic: Set(automatic),
        file_id: Set(file_id),
        template_version_id: Set(template_version_id),
        workspace_build_id: Set(workspace_build_id),
        status: Set(Status::Pending),
        attempt: Set(0),
        losses: Set(0),
        lease_id: Set(None),
        lease_expires_at: Set(None),
        worker_id: Set(None),
        worker_name: Set(String::new()),
        apply_permitted_at: Set(None),
        error: Set(String::new()),
        error_code: Set(ErrorCode::None),
        created_at: Set(created_at),
        updated_at: Set(created_at),
        started_at: Set(None),
        canceled_at: Set(None),
        completed_at: Set(None),
    };
    let job = job.insert(&tx.executor()).await.map_err(from_db)?;
    let head =
        job_log_head::ActiveModel { job_id: Set(id), next_number: Set(1), bytes: Set(0), overflowed: Set(false) };
    head.insert(&tx.executor()).await.map_err(from_db)?;
    Ok(job)
}

/// One job.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn find(db: &impl Access, id: JobId) -> Result<Option<provisioner_job::Model>> {
    provisioner_job::Entity::find_by_id(id).one(&db.executor()).await.map_err(from_db)
}

/// Those of these jobs that exist, in no order.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn find_many(db: &impl Access, ids: Vec<JobId>) -> Result<Vec<provisioner_job::Model>> {
    let of_ids = provisioner_job::Column::Id.is_in(ids);
    provisioner_job::Entity::find().filter(of_ids).all(&db.executor()).await.map_err(from_db)
}

//! Jobs, as records. What happens to them once they wait goes through `dispatch::queue`.

use std::collections::BTreeSet;

use sea_orm::ActiveValue::Set;
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, Value,
};

use super::entity::{job_log_head, provisioner_job};
use super::error::from_db;
use super::{Access, Tx, now};
use crate::domain::Result;
use crate::domain::engine::Engine;
use crate::domain::id::{DaemonId, FileId, JobId, OrganizationId, UserId};
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
        lost_lease_id: Set(None),
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
    let head = job_log_head::ActiveModel {
        job_id: Set(id),
        next_number: Set(1),
        bytes: Set(0),
        overflowed: Set(false),
        shift: Set(0),
    };
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
    let mut found = Vec::new();
    for some in ids.chunks(super::IDS) {
        let query = provisioner_job::Entity::find().filter(provisioner_job::Column::Id.is_in(some.iter().copied()));
        found.extend(query.all(&db.executor()).await.map_err(from_db)?);
    }
    Ok(found)
}

/// Those of these jobs whose logs reached their cap and were cut.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn overflowed(db: &impl Access, ids: Vec<JobId>) -> Result<BTreeSet<JobId>> {
    let mut found = Vec::new();
    for some in ids.chunks(super::IDS) {
        let query = job_log_head::Entity::find()
            .filter(job_log_head::Column::JobId.is_in(some.iter().copied()))
            .filter(job_log_head::Column::Overflowed.eq(true));
        found.extend(query.all(&db.executor()).await.map_err(from_db)?);
    }
    Ok(found.into_iter().map(|head| head.job_id).collect())
}

/// Which jobs a list is of.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only these; empty for all.
    pub ids: Vec<JobId>,
    /// Only those in one of these; empty for all.
    pub statuses: Vec<Status>,
    /// Only those that ask for at least these tags.
    pub tags: std::collections::BTreeMap<String, String>,
    /// Only those that this user asked for.
    pub initiator: Option<UserId>,
    /// At most so many; all when `None`.
    pub limit: Option<u64>,
}

/// An organization's jobs, newest first.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn list(
    db: &impl Access,
    organization: OrganizationId,
    filter: Filter,
) -> Result<Vec<provisioner_job::Model>> {
    use provisioner_job::Column;
    use sea_orm::sea_query::{Expr, ExprTrait as _, Func};
    let Filter { ids, statuses, tags, initiator, limit } = filter;
    let mut condition = Condition::all().add(Column::OrganizationId.eq(organization));
    if !ids.is_empty() {
        condition = condition.add(Column::Id.is_in(ids));
    }
    if !statuses.is_empty() {
        condition = condition.add(Column::Status.is_in(statuses));
    }
    if let Some(initiator) = initiator {
        condition = condition.add(Column::InitiatorId.eq(initiator));
    }
    for (name, value) in tags {
        // The column is canonical JSON of tags without quotes and backslashes, so that this can't match within a text.
        let member = serde_json::json!({ name: value }).to_string();
        let member = member.trim_start_matches('{').trim_end_matches('}').to_owned();
        let without = Func::cust("replace").arg(Expr::col(Column::Tags)).arg(member).arg("");
        let contains = Expr::expr(without).ne(Expr::col(Column::Tags));
        condition = condition.add(contains);
    }
    let query = provisioner_job::Entity::find().filter(condition);
    let query = query.order_by_desc(Column::CreatedAt).order_by_desc(Column::Id).limit(limit);
    query.all(&db.executor()).await.map_err(from_db)
}

/// What these daemons have and had last: their newest jobs, at most two each.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn newest_of_workers(db: &impl Access, workers: &[DaemonId]) -> Result<Vec<provisioner_job::Model>> {
    use sea_orm::FromQueryResult as _;
    let mut newest = Vec::new();
    for some in workers.chunks(super::IDS) {
        let places = (1..=some.len()).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ");
        // For each daemon its newest job that runs and its newest one that ended.
        let sql = format!(
            "SELECT * FROM provisioner_job WHERE id IN (
                 SELECT id FROM (
                     SELECT id, row_number() OVER (
                         PARTITION BY worker_id, CASE WHEN status IN ('running', 'canceling') THEN 0 ELSE 1 END
                         ORDER BY COALESCE(completed_at, started_at, created_at) DESC, id DESC) AS number
                     FROM provisioner_job WHERE worker_id IN ({places})) AS ranked
                 WHERE number = 1)"
        );
        let values: Vec<Value> = some.iter().map(|id| Value::from(*id)).collect();
        for row in db.query_all(&sql, values).await? {
            newest.push(provisioner_job::Model::from_query_result(&row, "").map_err(from_db)?);
        }
    }
    Ok(newest)
}

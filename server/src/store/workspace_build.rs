//! Builds of workspaces, and the resources of jobs.

use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait as _, EntityTrait as _, IntoActiveModel as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    SqlErr,
};

use super::entity::workspace_build::{Column, Entity, Model};
use super::entity::{job_resource, job_timing};
use super::error::from_db;
use super::{Access, Tx};
use crate::domain::id::{BuildId, JobId, WorkspaceId};
use crate::domain::job::StateReference;
use crate::domain::page::Page;
use crate::domain::{Error, Result, Timestamp};

/// Stores a build.
///
/// # Errors
/// [`Error::BuildActive`] when another one got its number at the same time.
pub async fn insert(tx: &Tx, build: &Model) -> Result<()> {
    let insert = Entity::insert(build.clone().into_active_model()).exec_without_returning(&tx.executor()).await;
    insert.map(|_| ()).map_err(|error| match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(_)) => Error::BuildActive(None),
        _ => from_db(error),
    })
}

/// A build.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn find(db: &impl Access, id: BuildId) -> Result<Option<Model>> {
    Entity::find_by_id(id).one(&db.executor()).await.map_err(from_db)
}

/// A workspace's build by its number.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn find_by_number(db: &impl Access, workspace: WorkspaceId, number: i32) -> Result<Option<Model>> {
    let query = Entity::find().filter(Column::WorkspaceId.eq(workspace)).filter(Column::BuildNumber.eq(number));
    query.one(&db.executor()).await.map_err(from_db)
}

/// A workspace's newest build.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn latest(db: &impl Access, workspace: WorkspaceId) -> Result<Option<Model>> {
    let query = Entity::find().filter(Column::WorkspaceId.eq(workspace)).order_by_desc(Column::BuildNumber).limit(1);
    query.one(&db.executor()).await.map_err(from_db)
}

/// The newest build of each of these workspaces, in no order.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn latest_of(db: &impl Access, workspaces: Vec<WorkspaceId>) -> Result<Vec<Model>> {
    const LATEST: &str = "workspace_build.build_number = (SELECT max(newest.build_number)
        FROM workspace_build newest WHERE newest.workspace_id = workspace_build.workspace_id)";
    let mut found = Vec::new();
    for some in workspaces.chunks(super::IDS) {
        let query = Entity::find().filter(Column::WorkspaceId.is_in(some.iter().copied())).filter(Expr::cust(LATEST));
        found.extend(query.all(&db.executor()).await.map_err(from_db)?);
    }
    Ok(found)
}

/// A workspace's builds, newest first.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn list(
    db: &impl Access,
    workspace: WorkspaceId,
    page: Page,
    after: Option<&Model>,
    since: Option<Timestamp>,
) -> Result<Vec<Model>> {
    let mut query = Entity::find().filter(Column::WorkspaceId.eq(workspace));
    if let Some(after) = after {
        query = query.filter(Column::BuildNumber.lt(after.build_number));
    }
    if let Some(since) = since {
        query = query.filter(Column::CreatedAt.gt(since));
    }
    let query = query.order_by_desc(Column::BuildNumber).limit(page.limit()).offset(page.offset());
    query.all(&db.executor()).await.map_err(from_db)
}

/// Makes a state a build's.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn set_state(tx: &Tx, build: BuildId, state: &StateReference) -> Result<()> {
    let sql = format!(
        "UPDATE workspace_build SET state_sha256 = $2, state_lineage = $3, state_serial = $4, updated_at = {}
         WHERE id = $1",
        tx.dialect().now()
    );
    let values = [build.into(), state.sha256.clone().into(), state.lineage.clone().into(), state.serial.into()];
    tx.execute(&sql, values).await.map(|_| ())
}

/// The resources of these jobs, in the order in which they were reported.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn resources(db: &impl Access, jobs: Vec<JobId>) -> Result<Vec<job_resource::Model>> {
    use job_resource::{Column, Entity};
    let mut found = Vec::new();
    for some in jobs.chunks(super::IDS) {
        let query = Entity::find().filter(Column::JobId.is_in(some.iter().copied())).order_by_asc(Column::Id);
        found.extend(query.all(&db.executor()).await.map_err(from_db)?);
    }
    Ok(found)
}

/// How long a job's steps took, in the order in which they were reported.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn timings(db: &impl Access, job: JobId) -> Result<Vec<job_timing::Model>> {
    use job_timing::{Column, Entity};
    let query = Entity::find().filter(Column::JobId.eq(job)).order_by_asc(Column::Position);
    query.all(&db.executor()).await.map_err(from_db)
}

//! Workspaces.

use sea_orm::sea_query::{Expr, ExprTrait as _, Func};
use sea_orm::{
    ColumnTrait as _, DbErr, EntityTrait as _, IntoActiveModel as _, QueryFilter as _, QueryOrder as _, QueryResult,
    QuerySelect as _, Value,
};

use super::entity::workspace::{Column, Entity, Model};
use super::error::{from_db, name_taken};
use super::{Access, Tx};
use crate::domain::Result;
use crate::domain::error::Kind;
use crate::domain::id::{UserId, WorkspaceId};
use crate::domain::workspace::Mark;

/// Stores a workspace.
///
/// # Errors
/// [`crate::domain::Error::AlreadyExists`] when the owner has one of this name.
pub async fn insert(tx: &Tx, workspace: &Model) -> Result<()> {
    let insert = Entity::insert(workspace.clone().into_active_model()).exec_without_returning(&tx.executor()).await;
    insert.map(|_| ()).map_err(name_taken(Kind::Workspace, &workspace.name, "name"))
}

/// A workspace, deleted or not.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn find(db: &impl Access, id: WorkspaceId) -> Result<Option<Model>> {
    Entity::find_by_id(id).one(&db.executor()).await.map_err(from_db)
}

/// Those of these workspaces that exist, deleted or not, in no order.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn find_many(db: &impl Access, ids: Vec<WorkspaceId>) -> Result<Vec<Model>> {
    let mut found = Vec::new();
    for some in ids.chunks(super::IDS) {
        let query = Entity::find().filter(Column::Id.is_in(some.iter().copied()));
        found.extend(query.all(&db.executor()).await.map_err(from_db)?);
    }
    Ok(found)
}

/// What tells changes of these workspaces, of those that exist, in no order.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn marks(db: &impl Access, ids: Vec<WorkspaceId>) -> Result<Vec<(WorkspaceId, Mark)>> {
    let mut found = Vec::new();
    for some in ids.chunks(super::IDS) {
        let sql = format!(
            "SELECT w.id, w.updated_at, b.id, b.updated_at, j.status, j.updated_at FROM workspace w
             JOIN workspace_build b ON b.workspace_id = w.id AND b.build_number =
                 (SELECT MAX(build_number) FROM workspace_build WHERE workspace_id = w.id)
             JOIN provisioner_job j ON j.id = b.job_id WHERE w.id IN ({})",
            super::placeholders(1, some.len())
        );
        let ids: Vec<Value> = some.iter().map(|id| (*id).into()).collect();
        for row in db.query_all(&sql, ids).await? {
            found.push(mark(&row).map_err(from_db)?);
        }
    }
    Ok(found)
}

fn mark(row: &QueryResult) -> Result<(WorkspaceId, Mark), DbErr> {
    let mark = Mark {
        updated_at: row.try_get_by_index(1)?,
        build: row.try_get_by_index(2)?,
        build_updated_at: row.try_get_by_index(3)?,
        job_status: row.try_get_by_index(4)?,
        job_updated_at: row.try_get_by_index(5)?,
    };
    Ok((row.try_get_by_index(0)?, mark))
}

/// An owner's workspace by its name, in any case: the live one, else the one that was deleted last.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn find_by_name(db: &impl Access, owner: UserId, name: &str) -> Result<Option<Model>> {
    let lower = Expr::expr(Func::lower(Expr::col(Column::Name)));
    let query = Entity::find()
        .filter(Column::OwnerId.eq(owner))
        .filter(lower.eq(name.to_lowercase()))
        .order_by_asc(Column::Deleted)
        .order_by_desc(Column::UpdatedAt)
        .limit(1);
    query.one(&db.executor()).await.map_err(from_db)
}

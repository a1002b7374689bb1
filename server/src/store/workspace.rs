//! Workspaces.

use sea_orm::sea_query::{Expr, ExprTrait as _, Func};
use sea_orm::{
    ColumnTrait as _, EntityTrait as _, IntoActiveModel as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};

use super::entity::workspace::{Column, Entity, Model};
use super::error::{from_db, name_taken};
use super::{Access, Tx};
use crate::domain::Result;
use crate::domain::error::Kind;
use crate::domain::id::{UserId, WorkspaceId};

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

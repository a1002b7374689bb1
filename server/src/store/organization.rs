//! Organizations.

use sea_orm::sea_query::{Expr, ExprTrait as _, Func};
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _};

use super::Access;
use super::entity::organization::{Column, Entity, Model};
use super::error::from_db;
use crate::domain::Result;
use crate::domain::id::OrganizationId;

/// A live organization.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn find(db: &impl Access, id: OrganizationId) -> Result<Option<Model>> {
    let query = Entity::find_by_id(id).filter(Column::Deleted.eq(false));
    query.one(&db.executor()).await.map_err(from_db)
}

/// A live organization by its name, in any case.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn find_by_name(db: &impl Access, name: &str) -> Result<Option<Model>> {
    let lower = Expr::expr(Func::lower(Expr::col(Column::Name)));
    let query = Entity::find().filter(lower.eq(name.to_lowercase())).filter(Column::Deleted.eq(false));
    query.one(&db.executor()).await.map_err(from_db)
}

/// The organization that the deployment started with.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn find_default(db: &impl Access) -> Result<Option<Model>> {
    Entity::find().filter(Column::IsDefault.eq(true)).one(&db.executor()).await.map_err(from_db)
}

//! Accounts.

use sea_orm::sea_query::{Expr, ExprTrait as _, Func};
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _};

use super::Access;
use super::entity::user_account::{Column, Entity, Model};
use super::error::from_db;
use crate::domain::Result;
use crate::domain::id::UserId;

/// A live user.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn find(db: &impl Access, id: UserId) -> Result<Option<Model>> {
    Entity::find_by_id(id).filter(Column::Deleted.eq(false)).one(&db.executor()).await.map_err(from_db)
}

/// A live user by their username, in any case.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn find_by_username(db: &impl Access, username: &str) -> Result<Option<Model>> {
    let lower = Expr::expr(Func::lower(Expr::col(Column::Username)));
    let query = Entity::find().filter(lower.eq(username.to_lowercase())).filter(Column::Deleted.eq(false));
    query.one(&db.executor()).await.map_err(from_db)
}

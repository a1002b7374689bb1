//! Roles of an organization's making.

use sea_orm::sea_query::{Expr, ExprTrait as _, Func};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, IntoActiveModel as _, PaginatorTrait as _,
    QueryFilter as _, QueryOrder as _,
};

use super::entity::custom_role::{Column, Entity, Model};
use super::error::{from_db, name_taken};
use super::{Access, Tx};
use crate::domain::error::Kind;
use crate::domain::id::{CustomRoleId, OrganizationId};
use crate::domain::{Error, Result};

/// An organization's roles, by name.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn list(db: &impl Access, organization: OrganizationId) -> Result<Vec<Model>> {
    let query = Entity::find().filter(Column::OrganizationId.eq(organization)).order_by_asc(lower_name());
    query.all(&db.executor()).await.map_err(from_db)
}

/// Those of these names, in any case.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn named(db: &impl Access, organization: OrganizationId, names: &[&str]) -> Result<Vec<Model>> {
    let query = Entity::find()
        .filter(Column::OrganizationId.eq(organization))
        .filter(lower_name().is_in(names.iter().map(|name| name.to_lowercase())))
        .order_by_asc(lower_name());
    query.all(&db.executor()).await.map_err(from_db)
}

/// The one of this name, in any case.
///
/// # Errors
/// [`Error::NotFound`] when there is none.
pub async fn find(db: &impl Access, organization: OrganizationId, name: &str) -> Result<Model> {
    named(db, organization, &[name]).await?.pop().ok_or(Error::NotFound(Kind::Role))
}

/// How many an organization has.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn count(db: &impl Access, organization: OrganizationId) -> Result<u64> {
    Entity::find().filter(Column::OrganizationId.eq(organization)).count(&db.executor()).await.map_err(from_db)
}

/// Stores a new role.
///
/// # Errors
/// [`Error::AlreadyExists`] when the organization has one of the name.
pub async fn insert(tx: &Tx, role: Model) -> Result<()> {
    let name = role.name.clone();
    let insert = Entity::insert(role.into_active_model()).exec_without_returning(&tx.executor()).await;
    insert.map(|_| ()).map_err(name_taken(Kind::Role, &name, "name"))
}

/// Stores what was changed of a role.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn update(tx: &Tx, role: Model) -> Result<()> {
    let update = Entity::update(role.into_active_model().reset_all()).exec(&tx.executor()).await;
    update.map(|_| ()).map_err(from_db)
}

/// Deletes a role, which its holders still name.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn delete(tx: &Tx, id: CustomRoleId) -> Result<()> {
    Entity::delete_by_id(id).exec(&tx.executor()).await.map(|_| ()).map_err(from_db)
}

fn lower_name() -> Expr {
    Func::lower(Expr::col(Column::Name)).into()
}

//! Templates.

use sea_orm::sea_query::{Expr, ExprTrait as _, Func};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, IntoActiveModel as _, PaginatorTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _,
};

use super::entity::template::{Column, Entity, Model};
use super::error::{from_db, name_taken};
use super::{Access, Tx};
use crate::domain::error::Kind;
use crate::domain::id::{OrganizationId, TemplateId};
use crate::domain::{Error, Result};

/// Stores a template.
///
/// # Errors
/// [`Error::AlreadyExists`] when the organization has one of this name.
pub async fn insert(tx: &Tx, template: &Model) -> Result<()> {
    let insert = Entity::insert(template.clone().into_active_model()).exec_without_returning(&tx.executor()).await;
    insert.map(|_| ()).map_err(name_taken(Kind::Template, &template.name, "name"))
}

/// A live template.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn find(db: &impl Access, id: TemplateId) -> Result<Option<Model>> {
    Entity::find_by_id(id).filter(Column::Deleted.eq(false)).one(&db.executor()).await.map_err(from_db)
}

/// A live template by its name, in any case.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn find_by_name(db: &impl Access, organization: OrganizationId, name: &str) -> Result<Option<Model>> {
    let lower = Expr::expr(Func::lower(Expr::col(Column::Name)));
    let query = Entity::find()
        .filter(Column::OrganizationId.eq(organization))
        .filter(Column::Deleted.eq(false))
        .filter(lower.eq(name.to_lowercase()));
    query.one(&db.executor()).await.map_err(from_db)
}

/// Those of these templates that exist, deleted ones too, in no order.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn find_many(db: &impl Access, ids: Vec<TemplateId>) -> Result<Vec<Model>> {
    let mut found = Vec::new();
    for some in ids.chunks(super::IDS) {
        let query = Entity::find().filter(Column::Id.is_in(some.iter().copied()));
        found.extend(query.all(&db.executor()).await.map_err(from_db)?);
    }
    Ok(found)
}

/// Keeps a live template from being deleted until the transaction ends.
///
/// # Errors
/// [`Error::NotFound`] when it was deleted, [`Error::Unavailable`] when the database can't be reached.
pub async fn hold(tx: &Tx, id: TemplateId) -> Result<Model> {
    let query = Entity::find_by_id(id).filter(Column::Deleted.eq(false)).lock_shared();
    query.one(&tx.executor()).await.map_err(from_db)?.ok_or(Error::NotFound(Kind::Template))
}

/// Takes a live template for oneself until the transaction ends, to change or delete it.
///
/// # Errors
/// [`Error::NotFound`] when it was deleted, [`Error::Unavailable`] when the database can't be reached.
pub async fn lock(tx: &Tx, id: TemplateId) -> Result<Model> {
    let query = Entity::find_by_id(id).filter(Column::Deleted.eq(false)).lock_exclusive();
    query.one(&tx.executor()).await.map_err(from_db)?.ok_or(Error::NotFound(Kind::Template))
}

/// Stores what was changed of a template.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn update(tx: &Tx, template: Model) -> Result<()> {
    let update = Entity::update(template.into_active_model().reset_all()).exec(&tx.executor()).await;
    update.map(|_| ()).map_err(from_db)
}

/// How many live workspaces are made from a template.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn workspaces(tx: &Tx, id: TemplateId) -> Result<u64> {
    use super::entity::workspace::{Column, Entity};
    let query = Entity::find().filter(Column::TemplateId.eq(id)).filter(Column::Deleted.eq(false));
    query.count(&tx.executor()).await.map_err(from_db)
}

/// Live templates of these organizations, or of all, by name.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn list(db: &impl Access, organizations: Option<Vec<OrganizationId>>) -> Result<Vec<Model>> {
    let query = Entity::find().filter(Column::Deleted.eq(false));
    let query = query.order_by_asc(Column::Name).order_by_asc(Column::Id);
    let Some(organizations) = organizations else { return query.all(&db.executor()).await.map_err(from_db) };
    let mut found = Vec::new();
    for some in organizations.chunks(super::IDS) {
        let query = query.clone().filter(Column::OrganizationId.is_in(some.iter().copied()));
        found.extend(query.all(&db.executor()).await.map_err(from_db)?);
    }
    if organizations.len() > super::IDS {
        found.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
    }
    Ok(found)
}

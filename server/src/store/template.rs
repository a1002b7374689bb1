//! Templates.

use sea_orm::sea_query::{Expr, ExprTrait as _, Func};
use sea_orm::{ColumnTrait as _, EntityTrait as _, IntoActiveModel as _, QueryFilter as _, QueryOrder as _};

use super::entity::template::{Column, Entity, Model};
use super::error::{from_db, name_taken};
use super::{Access, Tx};
use crate::domain::Result;
use crate::domain::error::Kind;
use crate::domain::id::{OrganizationId, TemplateId};

/// Stores a template.
///
/// # Errors
/// [`crate::domain::Error::AlreadyExists`] when the organization has one of this name.
pub async fn insert(tx: &Tx, template: &Model) -> Result<()> {
    let insert = Entity::insert(template.clone().into_active_model()).exec_without_returning(&tx.executor()).await;
    insert.map(|_| ()).map_err(name_taken(Kind::Template, &template.name, "name"))
}

/// A live template.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn find(db: &impl Access, id: TemplateId) -> Result<Option<Model>> {
    Entity::find_by_id(id).filter(Column::Deleted.eq(false)).one(&db.executor()).await.map_err(from_db)
}

/// A live template by its name, in any case.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
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
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn find_many(db: &impl Access, ids: Vec<TemplateId>) -> Result<Vec<Model>> {
    let mut found = Vec::new();
    for some in ids.chunks(super::IDS) {
        let query = Entity::find().filter(Column::Id.is_in(some.iter().copied()));
        found.extend(query.all(&db.executor()).await.map_err(from_db)?);
    }
    Ok(found)
}

/// Live templates of these organizations, or of all, by name.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
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

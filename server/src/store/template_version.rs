//! Versions of templates, and the variables that their imports found.

use sea_orm::sea_query::{Expr, ExprTrait as _, Func};
use sea_orm::{
    ColumnTrait as _, Condition, EntityTrait as _, IntoActiveModel as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
};

use super::entity::template_version::{Column, Entity, Model};
use super::entity::template_version_variable;
use super::error::{from_db, name_taken};
use super::{Access, Tx, now};
use crate::domain::Result;
use crate::domain::error::Kind;
use crate::domain::id::{TemplateId, TemplateVersionId};
use crate::domain::page::Page;

/// Stores a version.
///
/// # Errors
/// [`crate::domain::Error::AlreadyExists`] when the template has one of this name.
pub async fn insert(tx: &Tx, version: &Model) -> Result<()> {
    let insert = Entity::insert(version.clone().into_active_model()).exec_without_returning(&tx.executor()).await;
    insert.map(|_| ()).map_err(name_taken(Kind::TemplateVersion, &version.name, "name"))
}

/// Makes a version a template's, once; whether it could: it is there, of no template and not archived.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn attach(tx: &Tx, id: TemplateVersionId, template: TemplateId) -> Result<bool> {
    let sql = "UPDATE template_version SET template_id = $1, updated_at = $2
        WHERE id = $3 AND template_id IS NULL AND NOT archived";
    Ok(tx.execute(sql, [template.into(), now(tx).await?.into(), id.into()]).await? == 1)
}

/// A version.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn find(db: &impl Access, id: TemplateVersionId) -> Result<Option<Model>> {
    Entity::find_by_id(id).one(&db.executor()).await.map_err(from_db)
}

/// Those of these versions that exist, in no order.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn find_many(db: &impl Access, ids: Vec<TemplateVersionId>) -> Result<Vec<Model>> {
    let mut found = Vec::new();
    for some in ids.chunks(super::IDS) {
        let query = Entity::find().filter(Column::Id.is_in(some.iter().copied()));
        found.extend(query.all(&db.executor()).await.map_err(from_db)?);
    }
    Ok(found)
}

/// Whether a template has a version of this name, in any case.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn is_named(db: &impl Access, template: TemplateId, name: &str) -> Result<bool> {
    let lower = Expr::expr(Func::lower(Expr::col(Column::Name)));
    let query = Entity::find().filter(Column::TemplateId.eq(template)).filter(lower.eq(name.to_lowercase()));
    Ok(query.one(&db.executor()).await.map_err(from_db)?.is_some())
}

/// Ids of a template's versions, oldest first.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn list(
    db: &impl Access,
    template: TemplateId,
    page: Page,
    after: Option<&Model>,
) -> Result<Vec<TemplateVersionId>> {
    let mut query = Entity::find().filter(Column::TemplateId.eq(template));
    if let Some(after) = after {
        let later = Condition::all().add(Column::CreatedAt.eq(after.created_at)).add(Column::Id.gt(after.id));
        query = query.filter(Condition::any().add(Column::CreatedAt.gt(after.created_at)).add(later));
    }
    let query = query.order_by_asc(Column::CreatedAt).order_by_asc(Column::Id);
    let query = query.limit(page.limit()).offset(page.offset()).select_only().column(Column::Id);
    query.into_tuple().all(&db.executor()).await.map_err(from_db)
}

/// The variables of a version, in order.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn variables(db: &impl Access, id: TemplateVersionId) -> Result<Vec<template_version_variable::Model>> {
    use template_version_variable::{Column, Entity};
    let query = Entity::find().filter(Column::TemplateVersionId.eq(id)).order_by_asc(Column::Position);
    query.all(&db.executor()).await.map_err(from_db)
}

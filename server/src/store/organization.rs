//! Organizations.

use std::collections::BTreeSet;

use sea_orm::sea_query::{Expr, ExprTrait as _, Func, OnConflict};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, IntoActiveModel as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, QueryTrait as _,
};

use super::entity::organization::{Column, Entity, Model};
use super::entity::organization_member;
use super::error::{from_db, name_taken};
use super::{Access, Tx};
use crate::domain::error::{Kind, Leftovers};
use crate::domain::id::{OrganizationId, UserId};
use crate::domain::member::MembershipStatus;
use crate::domain::{Error, Result};

/// A live organization.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn find(db: &impl Access, id: OrganizationId) -> Result<Option<Model>> {
    let query = Entity::find_by_id(id).filter(Column::Deleted.eq(false));
    query.one(&db.executor()).await.map_err(from_db)
}

/// A live organization by its name, in any case.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn find_by_name(db: &impl Access, name: &str) -> Result<Option<Model>> {
    let query = Entity::find().filter(lower_name().eq(name.to_lowercase())).filter(Column::Deleted.eq(false));
    query.one(&db.executor()).await.map_err(from_db)
}

/// The organization that the deployment started with.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn find_default(db: &impl Access) -> Result<Option<Model>> {
    Entity::find().filter(Column::IsDefault.eq(true)).one(&db.executor()).await.map_err(from_db)
}

/// The live ones of these.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn find_all(db: &impl Access, ids: &BTreeSet<OrganizationId>) -> Result<Vec<Model>> {
    let ids: Vec<OrganizationId> = ids.iter().copied().collect();
    let mut found = Vec::new();
    for some in ids.chunks(super::IDS) {
        let query = Entity::find().filter(Column::Id.is_in(some.iter().copied())).filter(Column::Deleted.eq(false));
        found.extend(query.all(&db.executor()).await.map_err(from_db)?);
    }
    Ok(found)
}

/// Live organizations by name: those among `among`, of which `member` is a member; `None` doesn't narrow.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn list(
    db: &impl Access,
    among: Option<&BTreeSet<OrganizationId>>,
    member: Option<UserId>,
) -> Result<Vec<Model>> {
    let mut query = Entity::find().filter(Column::Deleted.eq(false));
    if let Some(user) = member {
        let joined = organization_member::Entity::find()
            .select_only()
            .column(organization_member::Column::OrganizationId)
            .filter(organization_member::Column::UserId.eq(user))
            .filter(organization_member::Column::Status.eq(MembershipStatus::Active));
        query = query.filter(Column::Id.in_subquery(joined.into_query()));
    }
    let query = query.order_by_asc(lower_name());
    let Some(ids) = among else { return query.all(&db.executor()).await.map_err(from_db) };
    let ids: Vec<OrganizationId> = ids.iter().copied().collect();
    let mut found = Vec::new();
    for some in ids.chunks(super::IDS) {
        let query = query.clone().filter(Column::Id.is_in(some.iter().copied()));
        found.extend(query.all(&db.executor()).await.map_err(from_db)?);
    }
    if ids.len() > super::IDS {
        found.sort_by_cached_key(|organization| organization.name.to_lowercase());
    }
    Ok(found)
}

fn lower_name() -> Expr {
    Func::lower(Expr::col(Column::Name)).into()
}

/// Keeps a live organization from being changed or deleted until the transaction ends. Whoever puts something into it
/// holds it, so that what is deleted is empty.
///
/// # Errors
/// [`Error::NotFound`] when it was deleted, [`Error::Unavailable`] when the database can't be reached.
pub async fn hold(tx: &Tx, id: OrganizationId) -> Result<Model> {
    let query = Entity::find_by_id(id).filter(Column::Deleted.eq(false)).lock_shared();
    let found = query.one(&tx.executor()).await.map_err(from_db)?;
    found.ok_or(Error::NotFound(Kind::Organization))
}

/// The same for several.
///
/// # Errors
/// [`Error::NotFound`] when one was deleted, [`Error::Unavailable`] when the database can't be reached.
pub async fn hold_all(tx: &Tx, ids: &BTreeSet<OrganizationId>) -> Result<()> {
    let ids: Vec<OrganizationId> = ids.iter().copied().collect();
    for some in ids.chunks(super::IDS) {
        let query = Entity::find().filter(Column::Id.is_in(some.iter().copied())).filter(Column::Deleted.eq(false));
        let query = query.order_by_asc(Column::Id).lock_shared();
        if query.all(&tx.executor()).await.map_err(from_db)?.len() < some.len() {
            return Err(Error::NotFound(Kind::Organization));
        }
    }
    Ok(())
}

/// Takes a live organization for oneself until the transaction ends, to change or delete it.
///
/// # Errors
/// [`Error::NotFound`] when it was deleted, [`Error::Unavailable`] when the database can't be reached.
pub async fn lock(tx: &Tx, id: OrganizationId) -> Result<Model> {
    let query = Entity::find_by_id(id).filter(Column::Deleted.eq(false)).lock_exclusive();
    let found = query.one(&tx.executor()).await.map_err(from_db)?;
    found.ok_or(Error::NotFound(Kind::Organization))
}

/// Stores a new organization.
///
/// # Errors
/// [`Error::AlreadyExists`] when a live one has the name.
pub async fn insert(tx: &Tx, organization: Model) -> Result<()> {
    let name = organization.name.clone();
    let insert = Entity::insert(organization.into_active_model());
    let inserted = insert.exec_without_returning(&tx.executor()).await;
    inserted.map(|_| ()).map_err(name_taken(Kind::Organization, &name, "name"))
}

/// Stores the default organization, unless there is one; of two servers at once, one does.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn insert_default(tx: &Tx, organization: Model) -> Result<()> {
    let insert =
        Entity::insert(organization.into_active_model()).on_conflict(OnConflict::new().do_nothing().to_owned());
    insert.exec_without_returning(&tx.executor()).await.map(|_| ()).map_err(from_db)
}

/// Stores what was changed of an organization.
///
/// # Errors
/// [`Error::AlreadyExists`] when another live one has the name.
pub async fn update(tx: &Tx, organization: Model) -> Result<()> {
    let name = organization.name.clone();
    let update = Entity::update(organization.into_active_model().reset_all()).exec(&tx.executor()).await;
    update.map(|_| ()).map_err(name_taken(Kind::Organization, &name, "name"))
}

/// What stands in an organization.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn leftovers(tx: &Tx, id: OrganizationId) -> Result<Leftovers> {
    const SQL: &str = "SELECT
         (SELECT count(*) FROM workspace WHERE organization_id = $1 AND NOT deleted),
         (SELECT count(*) FROM template WHERE organization_id = $1 AND NOT deleted),
         (SELECT count(*) FROM organization_member m JOIN user_account u ON u.id = m.user_id
          WHERE m.organization_id = $1 AND NOT u.deleted),
         (SELECT count(*) FROM provisioner_key WHERE organization_id = $1),
         (SELECT count(*) FROM provisioner_job
          WHERE organization_id = $1 AND status IN ('pending', 'running', 'canceling'))";
    let row = tx.query_one(SQL, [id.into()]).await?.ok_or_else(|| Error::internal("a count has no row"))?;
    let count = |column| row.try_get_by_index::<i64>(column).map(|n| u64::try_from(n).unwrap_or(0)).map_err(from_db);
    Ok(Leftovers {
        workspaces: count(0)?,
        templates: count(1)?,
        // One may stay: whoever deletes it has to be somebody.
        members: count(2)?.saturating_sub(1),
        provisioner_keys: count(3)?,
        jobs: count(4)?,
    })
}

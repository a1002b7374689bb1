//! Memberships, and who their users are.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::sea_query::{Expr, ExprTrait as _, Func};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, Condition, EntityTrait as _, IntoActiveModel as _, JoinType,
    PaginatorTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, Select, Value,
};

use super::entity::organization_member::{Column, Entity, Model};
use super::entity::{role_grant, user_account};
use super::error::{from_db, is_unique};
use super::{Access, Tx, placeholders};
use crate::domain::error::Kind;
use crate::domain::id::{OrganizationId, UserId};
use crate::domain::member::MembershipStatus;
use crate::domain::user::{LoginType, UserStatus};
use crate::domain::{Error, Result};

/// Stores a membership.
///
/// # Errors
/// [`Error::AlreadyMember`] when there is one.
pub async fn insert(tx: &Tx, member: Model) -> Result<()> {
    let insert = Entity::insert(member.into_active_model());
    let inserted = insert.exec_without_returning(&tx.executor()).await;
    inserted
        .map(|_| ())
        .map_err(|error| if is_unique(&error, "organization_member") { Error::AlreadyMember } else { from_db(error) })
}

/// Stores several memberships of a new user in one statement.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn insert_all(tx: &Tx, members: Vec<Model>) -> Result<()> {
    let insert = Entity::insert_many(members.into_iter().map(Model::into_active_model));
    insert.exec_without_returning(&tx.executor()).await.map(|_| ()).map_err(from_db)
}

/// Stores a grant of a role.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn grant(tx: &Tx, grant: role_grant::Model) -> Result<()> {
    let insert = role_grant::Entity::insert(grant.into_active_model());
    insert.exec_without_returning(&tx.executor()).await.map(|_| ()).map_err(from_db)
}

/// Whether a user is an active member of an organization.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn is_member(db: &impl Access, organization: OrganizationId, user: UserId) -> Result<bool> {
    let found = Entity::find_by_id((organization, user)).one(&db.executor()).await;
    Ok(found.map_err(from_db)?.is_some_and(|member| member.status == MembershipStatus::Active))
}

/// Takes a membership for oneself until the transaction ends, to change it and what hangs on it, or to end it.
///
/// # Errors
/// [`Error::NotFound`] when there is none.
pub async fn lock(tx: &Tx, organization: OrganizationId, user: UserId) -> Result<Model> {
    let found = Entity::find_by_id((organization, user)).lock_exclusive().one(&tx.executor()).await;
    found.map_err(from_db)?.ok_or(Error::NotFound(Kind::Member))
}

/// Stores what was changed of a membership.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn update(tx: &Tx, member: Model) -> Result<()> {
    let update = Entity::update(member.into_active_model().reset_all()).exec(&tx.executor()).await;
    update.map(|_| ()).map_err(from_db)
}

/// Ends a membership.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn delete(tx: &Tx, organization: OrganizationId, user: UserId) -> Result<()> {
    Entity::delete_by_id((organization, user)).exec(&tx.executor()).await.map(|_| ()).map_err(from_db)
}

/// Which members of an organization a list is of.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only these users; empty for all.
    pub users: Vec<UserId>,
    /// Only those with this in their username or address, in any case.
    pub text: String,
    /// Only those with this in their real name, in any case.
    pub name: String,
    /// Only those in one of these; empty for all.
    pub statuses: Vec<UserStatus>,
    /// Only those who sign in like one of these; empty for all.
    pub login_types: Vec<LoginType>,
}

/// Which part of a list.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// Only what stands behind this member.
    pub after: Option<UserId>,
    /// Without the first so many.
    pub offset: u64,
    /// At most so many.
    pub limit: u64,
}

/// Members with who they are, by username.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn list(
    db: &impl Access,
    organization: OrganizationId,
    filter: &Filter,
    part: Part,
) -> Result<Vec<(Model, user_account::Model)>> {
    let mut query = matching(organization, filter);
    if let Some(user) = part.after {
        // Another organization's members have no place in the order that could be learnt from it.
        let Some(name) = place(db, organization, user).await? else { return Ok(Vec::new()) };
        query = query.filter(lower(user_account::Column::Username).gt(name));
    }
    let query = query.order_by_asc(lower(user_account::Column::Username)).limit(part.limit).offset(part.offset);
    let found = query.select_also(user_account::Entity).all(&db.executor()).await.map_err(from_db)?;
    Ok(found.into_iter().filter_map(|(member, user)| Some((member, user?))).collect())
}

/// How many a list has on all its pages.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn count(db: &impl Access, organization: OrganizationId, filter: &Filter) -> Result<u64> {
    matching(organization, filter).count(&db.executor()).await.map_err(from_db)
}

/// By what a member stands where they do in a list.
async fn place(db: &impl Access, organization: OrganizationId, user: UserId) -> Result<Option<String>> {
    let sql = "SELECT lower(u.username) FROM organization_member m JOIN user_account u ON u.id = m.user_id
         WHERE m.organization_id = $1 AND m.user_id = $2";
    let row = db.query_one(sql, [organization.into(), user.into()]).await?;
    row.map(|row| row.try_get_by_index(0).map_err(from_db)).transpose()
}

fn matching(organization: OrganizationId, filter: &Filter) -> Select<Entity> {
    use user_account::Column as User;
    let Filter { users, text, name, statuses, login_types } = filter;
    let mut all = Condition::all()
        .add(Column::OrganizationId.eq(organization))
        .add(Column::Status.eq(MembershipStatus::Active))
        .add(User::Deleted.eq(false));
    if !users.is_empty() {
        all = all.add(Column::UserId.is_in(users.iter().copied()));
    }
    if !text.is_empty() {
        all = all.add(Condition::any().add(contains(User::Username, text)).add(contains(User::Email, text)));
    }
    if !name.is_empty() {
        all = all.add(contains(User::Name, name));
    }
    if !statuses.is_empty() {
        all = all.add(User::Status.is_in(statuses.iter().copied()));
    }
    if !login_types.is_empty() {
        all = all.add(User::LoginType.is_in(login_types.iter().copied()));
    }
    let user = Entity::belongs_to(user_account::Entity).from(Column::UserId).to(User::Id).into();
    Entity::find().join(JoinType::InnerJoin, user).filter(all)
}

fn lower(column: user_account::Column) -> Expr {
    Func::lower(Expr::col((user_account::Entity, column))).into()
}

/// That a column has a text in it, in any case. Not LIKE, in which some characters of a search would mean something.
fn contains(column: user_account::Column, text: &str) -> Expr {
    let rest = Func::cust("replace").arg(lower(column)).arg(text.to_lowercase()).arg("");
    Expr::expr(rest).ne(lower(column))
}

/// The live organizations that each of these users is an active member of: those among `among`, `None` doesn't narrow.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn organizations(
    db: &impl Access,
    users: &[UserId],
    among: Option<&BTreeSet<OrganizationId>>,
) -> Result<BTreeMap<UserId, Vec<OrganizationId>>> {
    let mut found = BTreeMap::<_, Vec<_>>::new();
    for some in users.chunks(super::IDS) {
        let mut values: Vec<Value> = some.iter().map(|id| (*id).into()).collect();
        let narrowed = match among {
            None => String::new(),
            Some(ids) => {
                values.extend(ids.iter().map(|id| Value::from(*id)));
                format!("AND m.organization_id IN ({})", placeholders(some.len() + 1, ids.len()))
            }
        };
        let sql = format!(
            "SELECT m.user_id, m.organization_id FROM organization_member m
             JOIN organization o ON o.id = m.organization_id AND NOT o.deleted
             WHERE m.user_id IN ({}) AND m.status = 'active' {narrowed} ORDER BY m.organization_id",
            placeholders(1, some.len())
        );
        for row in db.query_all(&sql, values).await? {
            let user: UserId = row.try_get_by_index(0).map_err(from_db)?;
            found.entry(user).or_default().push(row.try_get_by_index(1).map_err(from_db)?);
        }
    }
    Ok(found)
}

/// Takes a user out of all organizations, and all roles from them.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn remove_everywhere(tx: &Tx, user: UserId) -> Result<()> {
    tx.execute("DELETE FROM role_grant WHERE user_id = $1", [user.into()]).await?;
    tx.execute("DELETE FROM organization_member WHERE user_id = $1", [user.into()]).await.map(|_| ())
}

/// Takes a role of the site from a user, whoever gave it.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn revoke_of_site(tx: &Tx, user: UserId, role: &str) -> Result<()> {
    let sql = "DELETE FROM role_grant WHERE user_id = $1 AND role = $2 AND organization_id IS NULL";
    tx.execute(sql, [user.into(), role.into()]).await.map(|_| ())
}

#[cfg(test)]
mod tests;

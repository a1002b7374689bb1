//! Memberships and roles.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{EntityTrait as _, IntoActiveModel as _, Value};

use super::entity::{organization_member, role_grant};
use super::error::{from_db, is_unique};
use super::{Access, Tx, placeholders};
use crate::domain::id::{OrganizationId, UserId};
use crate::domain::member::MembershipStatus;
use crate::domain::{Error, Result};

/// Stores a membership.
///
/// # Errors
/// [`Error::AlreadyMember`] when there is one.
pub async fn insert(tx: &Tx, member: organization_member::Model) -> Result<()> {
    let insert = organization_member::Entity::insert(member.into_active_model());
    let inserted = insert.exec_without_returning(&tx.executor()).await;
    inserted
        .map(|_| ())
        .map_err(|error| if is_unique(&error, "organization_member") { Error::AlreadyMember } else { from_db(error) })
}

/// Stores several memberships of a new user in one statement.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn insert_all(tx: &Tx, members: Vec<organization_member::Model>) -> Result<()> {
    let rows = members.into_iter().map(organization_member::Model::into_active_model);
    let insert = organization_member::Entity::insert_many(rows);
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
    let found = organization_member::Entity::find_by_id((organization, user)).one(&db.executor()).await;
    Ok(found.map_err(from_db)?.is_some_and(|member| member.status == MembershipStatus::Active))
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

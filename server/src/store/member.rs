//! Memberships and roles.

use sea_orm::{EntityTrait as _, IntoActiveModel as _};

use super::entity::{organization_member, role_grant};
use super::error::{from_db, is_unique};
use super::{Access, Tx};
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

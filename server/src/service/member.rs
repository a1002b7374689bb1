//! Memberships: who is a member, who becomes one, who is one no longer. With which roles: [`roles`].

mod list;
pub mod roles;

use super::audit::Attempt;
use super::user::membership;
use super::{Caller, Service};
use crate::domain::audit::{AuditAction, AuditResource};
use crate::domain::error::Kind;
use crate::domain::permission::{Action, Object, Resource, authorize};
use crate::domain::{Error, Result};
use crate::store;
use crate::store::entity::audited::Membership;
use crate::store::entity::organization_member;

pub use list::{MemberSearch, MemberView};

impl Service {
    /// Adds a user to an organization, without roles.
    ///
    /// # Errors
    /// [`Error::NotFound`] or [`Error::Denied`] as the caller's permission has it, [`Error::AlreadyMember`] for those.
    pub async fn member_add(
        &self,
        caller: &Caller,
        organization: &str,
        user: &str,
    ) -> Result<organization_member::Model> {
        let mut attempt = self.attempt(caller, AuditAction::Create, AuditResource::OrganizationMember);
        let result = self.member_add_attempt(caller, organization, user, &mut attempt).await;
        attempt.end(result).await
    }

    async fn member_add_attempt(
        &self,
        caller: &Caller,
        organization: &str,
        user: &str,
        attempt: &mut Attempt<'_>,
    ) -> Result<organization_member::Model> {
        attempt.named(user);
        let organization = self.organization_resolve(caller, organization).await?;
        attempt.of(organization.id);
        let object = Object::of(Resource::OrganizationMember, organization.id);
        authorize(caller.user()?, Action::Create, &object, Kind::Member)?;
        // Whoever may add members may look up whom to add.
        let user = self.user_resolve(caller, user).await?;
        attempt.about(user.id.0, &user.username);
        let tx = self.store.begin().await?;
        store::organization::hold(&tx, organization.id).await?;
        store::user::hold(&tx, user.id).await?;
        let member = membership(organization.id, user.id, store::now(&tx).await?);
        store::member::insert(&tx, member.clone()).await?;
        attempt.change(None, Some(&Membership { user: &user, roles: Vec::new() })).commit(tx).await?;
        Ok(member)
    }

    /// Ends a membership with the roles that hang on it. What the user made and owns in the organization stays.
    ///
    /// # Errors
    /// [`Error::NotFound`] or [`Error::Denied`] as the caller's permission has it, [`Error::Oneself`].
    pub async fn member_remove(&self, caller: &Caller, organization: &str, user: &str) -> Result<()> {
        let mut attempt = self.attempt(caller, AuditAction::Delete, AuditResource::OrganizationMember);
        let result = self.member_remove_attempt(caller, organization, user, &mut attempt).await;
        attempt.end(result).await
    }

    async fn member_remove_attempt(
        &self,
        caller: &Caller,
        organization: &str,
        user: &str,
        attempt: &mut Attempt<'_>,
    ) -> Result<()> {
        let subject = caller.user()?;
        let organization = self.organization_resolve(caller, organization).await?;
        attempt.of(organization.id).named(user);
        let object = Object::of(Resource::OrganizationMember, organization.id);
        authorize(subject, Action::Delete, &object, Kind::Member)?;
        let MemberView { user, .. } = self.member_find(caller, organization.id, user).await?;
        attempt.about(user.id.0, &user.username);
        if user.id == subject.user_id {
            return Err(Error::Oneself("remove yourself from an organization"));
        }
        let tx = self.store.begin().await?;
        store::organization::hold(&tx, organization.id).await?;
        store::user::hold(&tx, user.id).await?;
        store::member::lock(&tx, organization.id, user.id).await?;
        let held = store::member_role::list(&tx, organization.id, &[user.id]).await?;
        let roles: Vec<String> =
            held.into_iter().filter(|held| held.organization_id.is_some()).map(|held| held.role).collect();
        roles::check_takes(&tx, subject, organization.id, &roles).await?;
        store::member_role::take_all(&tx, organization.id, user.id).await?;
        store::member::delete(&tx, organization.id, user.id).await?;
        attempt.change(Some(&Membership { user: &user, roles }), None).commit(tx).await
    }
}

#[cfg(test)]
mod tests;

//! Memberships.

use super::audit::Attempt;
use super::user::membership;
use super::{Caller, Service};
use crate::domain::Result;
use crate::domain::audit::{AuditAction, AuditResource};
use crate::domain::error::Kind;
use crate::domain::permission::{Action, Object, Resource, authorize};
use crate::store;
use crate::store::entity::organization_member;

impl Service {
    /// Adds a user to an organization, without roles.
    ///
    /// # Errors
    /// [`crate::domain::Error::NotFound`] or [`crate::domain::Error::Denied`] as the caller's permission has it,
    /// [`crate::domain::Error::AlreadyMember`] for those.
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
        let member = membership(organization.id, user.id, store::now(&tx).await?);
        store::member::insert(&tx, member.clone()).await?;
        attempt.change(None, Some(&member)).commit(tx).await?;
        Ok(member)
    }
}

#[cfg(test)]
mod tests;

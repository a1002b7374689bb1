//! Memberships.

use super::user::membership;
use super::{Caller, Service};
use crate::domain::Result;
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
        let organization = self.organization_resolve(caller, organization).await?;
        let object = Object::of(Resource::OrganizationMember, organization.id);
        authorize(caller.user()?, Action::Create, &object, Kind::Member)?;
        // Whoever may add members may look up whom to add.
        let user = self.user_resolve(caller, user).await?;
        let tx = self.store.begin().await?;
        store::organization::hold(&tx, organization.id).await?;
        store::user::hold(&tx, user.id).await?;
        let member = membership(organization.id, user.id, store::now(&tx).await?);
        store::member::insert(&tx, member.clone()).await?;
        tx.commit().await?;
        Ok(member)
    }
}

#[cfg(test)]
mod tests;

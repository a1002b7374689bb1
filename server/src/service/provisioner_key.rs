//! Provisioner keys.
//!
//! Deleting a key ends its daemons' sessions at once. There is no time yet in which they may still hand in the states,
//! logs and results of the jobs that they have to interrupt: for that the session would have to outlive the key.

use std::collections::BTreeMap;

use super::audit::Attempt;
use super::{Caller, Service};
use crate::domain::audit::{AuditAction, AuditResource};
use crate::domain::error::Kind;
use crate::domain::id::{ProvisionerKeyId, ProvisionerKeySecretId};
use crate::domain::permission::{Action, Object, Resource, authorize};
use crate::domain::provisioner_key::{KeyTags, ProvisionerKey};
use crate::domain::rule::Violations;
use crate::domain::{Result, name};
use crate::store;
use crate::store::entity::{provisioner_key, provisioner_key_secret};
use crate::store::notice::Notice;

impl Service {
    /// An organization's keys, oldest first.
    ///
    /// # Errors
    /// [`crate::domain::Error::NotFound`] when the caller may not read the organization.
    pub async fn provisioner_key_list(
        &self,
        caller: &Caller,
        organization: &str,
    ) -> Result<Vec<provisioner_key::Model>> {
        let organization = self.organization_resolve(caller, organization).await?;
        let object = Object::of(Resource::ProvisionerDaemon, organization.id);
        authorize(caller.user()?, Action::Read, &object, Kind::ProvisionerKey)?;
        store::provisioner_key::list(&self.store, organization.id).await
    }

    /// Makes a key. What is returned is nowhere else afterwards.
    ///
    /// # Errors
    /// [`crate::domain::Error::NotFound`] or [`crate::domain::Error::Denied`] as the caller's permission has it,
    /// [`crate::domain::Error::Invalid`] when a rule is broken, [`crate::domain::Error::AlreadyExists`] when the name is
    /// taken.
    pub async fn provisioner_key_create(
        &self,
        caller: &Caller,
        organization: &str,
        name: &str,
        tags: BTreeMap<String, String>,
    ) -> Result<ProvisionerKey> {
        let mut attempt = self.attempt(caller, AuditAction::Create, AuditResource::ProvisionerKey);
        let result = self.provisioner_key_create_attempt(caller, organization, name, tags, &mut attempt).await;
        attempt.end(result).await
    }

    async fn provisioner_key_create_attempt(
        &self,
        caller: &Caller,
        organization: &str,
        name: &str,
        tags: BTreeMap<String, String>,
        attempt: &mut Attempt<'_>,
    ) -> Result<ProvisionerKey> {
        attempt.named(name);
        let organization = self.organization_resolve(caller, organization).await?;
        attempt.of(organization.id);
        let object = Object::of(Resource::ProvisionerDaemon, organization.id);
        authorize(caller.user()?, Action::Create, &object, Kind::ProvisionerKey)?;
        let mut violations = Violations::default();
        violations.check("name", name::provisioner_key(name));
        let tags = KeyTags::checked(tags, &mut violations);
        violations.finish()?;

        let secret = ProvisionerKey::generate();
        let tx = self.store.begin().await?;
        store::organization::hold(&tx, organization.id).await?;
        let created_at = store::now(&tx).await?;
        let key = provisioner_key::Model {
            id: ProvisionerKeyId::new(),
            organization_id: organization.id,
            name: name.to_lowercase(),
            tags,
            description: String::new(),
            last_used_at: None,
            created_at,
        };
        let row = provisioner_key_secret::Model {
            id: ProvisionerKeySecretId::new(),
            key_id: key.id,
            secret_sha256: secret.hash(),
            expires_at: None,
            revoked_at: None,
            created_at,
        };
        store::provisioner_key::insert(&tx, key.clone(), row).await?;
        attempt.about(key.id.0, &key.name).change(None, Some(&key)).commit(tx).await?;
        Ok(secret)
    }

    /// Deletes a key by its name, in any case. Daemons that are connected with it are told at once.
    ///
    /// # Errors
    /// [`crate::domain::Error::NotFound`] or [`crate::domain::Error::Denied`] as the caller's permission has it,
    /// [`crate::domain::Error::Invalid`] for names that no key can have.
    pub async fn provisioner_key_delete(&self, caller: &Caller, organization: &str, name: &str) -> Result<()> {
        let mut attempt = self.attempt(caller, AuditAction::Delete, AuditResource::ProvisionerKey);
        let result = self.provisioner_key_delete_attempt(caller, organization, name, &mut attempt).await;
        attempt.end(result).await
    }

    async fn provisioner_key_delete_attempt(
        &self,
        caller: &Caller,
        organization: &str,
        name: &str,
        attempt: &mut Attempt<'_>,
    ) -> Result<()> {
        attempt.named(name);
        let organization = self.organization_resolve(caller, organization).await?;
        attempt.of(organization.id);
        let object = Object::of(Resource::ProvisionerDaemon, organization.id);
        authorize(caller.user()?, Action::Delete, &object, Kind::ProvisionerKey)?;
        let mut violations = Violations::default();
        violations.check("provisioner_key", name::provisioner_key(name));
        violations.finish()?;
        let tx = self.store.begin().await?;
        let key = store::provisioner_key::delete(&tx, organization.id, &name.to_lowercase()).await?;
        attempt.about(key.id.0, &key.name).change(Some(&key), None).commit(tx).await?;
        self.dispatcher.key_revoked(key.id);
        self.tell_servers(Notice::Keys).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests;

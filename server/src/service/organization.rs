//! Organizations.

use super::audit::Attempt;
use super::user::membership;
use super::{Caller, Service};
use crate::domain::audit::{AuditAction, AuditResource};
use crate::domain::error::Kind;
use crate::domain::id::OrganizationId;
use crate::domain::permission::{Action, Object, Resource, Subject, allowed, authorize};
use crate::domain::rule::Violations;
use crate::domain::{Error, Result, name};
use crate::store;
use crate::store::entity::organization;

/// What an organization is created from.
#[derive(Debug)]
pub struct NewOrganization {
    /// Its name.
    pub name: String,
    /// For people; the name when empty.
    pub display_name: String,
    /// In words.
    pub description: String,
    /// A picture.
    pub icon: String,
}

/// What is changed of an organization; `None` keeps what is there.
#[derive(Debug, Default)]
pub struct OrganizationChange {
    /// Its name; empty keeps it.
    pub name: Option<String>,
    /// For people; empty keeps it.
    pub display_name: Option<String>,
    /// In words.
    pub description: Option<String>,
    /// A picture.
    pub icon: Option<String>,
}

impl Service {
    /// Makes the default organization if the deployment has none; of two servers at once, one does.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database can't be reached.
    pub async fn default_organization_ensure(&self) -> Result<()> {
        let tx = self.store.begin().await?;
        if store::organization::find_default(&tx).await?.is_some() {
            return Ok(());
        }
        let now = store::now(&tx).await?;
        let organization = organization::Model {
            id: OrganizationId::new(),
            name: "orgplane".to_owned(),
            display_name: "Orgplane".to_owned(),
            description: "The organization that the deployment started with.".to_owned(),
            icon: String::new(),
            is_default: true,
            deleted: false,
            created_at: now,
            updated_at: now,
        };
        store::organization::insert_default(&tx, organization).await?;
        tx.commit().await
    }

    /// The organizations that the caller may read, by name.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database can't be reached.
    pub async fn organization_list(&self, caller: &Caller) -> Result<Vec<organization::Model>> {
        let subject = caller.user()?;
        let own = subject.organizations.keys().copied().collect();
        store::organization::list(&self.store, (!reads_all(subject)).then_some(&own), None).await
    }

    /// The organizations of a user that the caller may read, by name.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such user or the caller may not read them.
    pub async fn user_organization_list(&self, caller: &Caller, user: &str) -> Result<Vec<organization::Model>> {
        let user = self.user_readable(caller, user).await?;
        let subject = caller.user()?;
        let own = subject.organizations.keys().copied().collect();
        store::organization::list(&self.store, (!reads_all(subject)).then_some(&own), Some(user.id)).await
    }

    /// An organization by its name, as a user's path has it: that they are a member isn't asked.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such user or organization, or the caller may not read one of them.
    pub async fn user_organization_get(&self, caller: &Caller, user: &str, text: &str) -> Result<organization::Model> {
        self.user_readable(caller, user).await?;
        name::organization(text).map_err(|_| Error::NotFound(Kind::Organization))?;
        self.organization_resolve(caller, text).await
    }

    /// Creates an organization; its creator becomes a member.
    ///
    /// # Errors
    /// [`Error::Denied`] for those who may not, [`Error::Invalid`] when a rule is broken, [`Error::AlreadyExists`] when
    /// the name is taken.
    pub async fn organization_create(&self, caller: &Caller, new: NewOrganization) -> Result<organization::Model> {
        let mut attempt = self.attempt(caller, AuditAction::Create, AuditResource::Organization);
        let result = self.organization_create_attempt(caller, new, &mut attempt).await;
        attempt.end(result).await
    }

    async fn organization_create_attempt(
        &self,
        caller: &Caller,
        new: NewOrganization,
        attempt: &mut Attempt<'_>,
    ) -> Result<organization::Model> {
        let subject = caller.user()?;
        attempt.named(&new.name);
        if !allowed(subject, Action::Create, &Object::site(Resource::Organization)) {
            return Err(Error::Denied);
        }
        let NewOrganization { name, display_name, description, icon } = new;
        let mut violations = Violations::default();
        violations.check("name", name::organization(&name));
        violations.check("display_name", name::display(&display_name));
        violations.check("description", name::description(&description));
        violations.check("icon", name::icon(&icon));
        violations.finish()?;
        let tx = self.store.begin().await?;
        let now = store::now(&tx).await?;
        let display_name = if display_name.is_empty() { name.clone() } else { display_name };
        let organization = organization::Model {
            id: OrganizationId::new(),
            name,
            display_name,
            description,
            icon,
            is_default: false,
            deleted: false,
            created_at: now,
            updated_at: now,
        };
        store::organization::insert(&tx, organization.clone()).await?;
        store::member::insert(&tx, membership(organization.id, subject.user_id, now)).await?;
        attempt.of(organization.id).about(organization.id.0, &organization.name).icon(&organization.icon);
        attempt.change(None, Some(&organization)).commit(tx).await?;
        Ok(organization)
    }

    /// Changes an organization.
    ///
    /// # Errors
    /// [`Error::NotFound`] or [`Error::Denied`] as the caller's permission has it, [`Error::Invalid`] when a rule is
    /// broken, [`Error::AlreadyExists`] when the name is taken.
    pub async fn organization_update(
        &self,
        caller: &Caller,
        organization: &str,
        change: OrganizationChange,
    ) -> Result<organization::Model> {
        let mut attempt = self.attempt(caller, AuditAction::Write, AuditResource::Organization);
        let result = self.organization_update_attempt(caller, organization, change, &mut attempt).await;
        attempt.end(result).await
    }

    async fn organization_update_attempt(
        &self,
        caller: &Caller,
        organization: &str,
        change: OrganizationChange,
        attempt: &mut Attempt<'_>,
    ) -> Result<organization::Model> {
        let found = self.organization_resolve(caller, organization).await?;
        attempt.of(found.id).about(found.id.0, &found.name).icon(&found.icon);
        let object = Object::of(Resource::Organization, found.id);
        authorize(caller.user()?, Action::Update, &object, Kind::Organization)?;
        let name = change.name.filter(|name| !name.is_empty());
        let display_name = change.display_name.filter(|name| !name.is_empty());
        let mut violations = Violations::default();
        violations.check("name", name.as_deref().map_or(Ok(()), name::organization));
        violations.check("display_name", display_name.as_deref().map_or(Ok(()), name::display));
        violations.check("description", change.description.as_deref().map_or(Ok(()), name::description));
        violations.check("icon", change.icon.as_deref().map_or(Ok(()), name::icon));
        violations.finish()?;

        let tx = self.store.begin().await?;
        // Read again under the lock: two changes of different members must both last.
        let current = store::organization::lock(&tx, found.id).await?;
        let updated = organization::Model {
            name: name.unwrap_or_else(|| current.name.clone()),
            display_name: display_name.unwrap_or_else(|| current.display_name.clone()),
            description: change.description.unwrap_or_else(|| current.description.clone()),
            icon: change.icon.unwrap_or_else(|| current.icon.clone()),
            updated_at: store::now(&tx).await?,
            ..current.clone()
        };
        store::organization::update(&tx, updated.clone()).await?;
        attempt.change(Some(&current), Some(&updated)).commit(tx).await?;
        Ok(updated)
    }

    /// Deletes an empty organization; its name can be used again at once.
    ///
    /// # Errors
    /// [`Error::NotFound`] or [`Error::Denied`] as the caller's permission has it, [`Error::DefaultOrganization`] for
    /// that one, [`Error::OrganizationNotEmpty`] when something is in it.
    pub async fn organization_delete(&self, caller: &Caller, organization: &str) -> Result<()> {
        let mut attempt = self.attempt(caller, AuditAction::Delete, AuditResource::Organization);
        let result = self.organization_delete_attempt(caller, organization, &mut attempt).await;
        attempt.end(result).await
    }

    async fn organization_delete_attempt(
        &self,
        caller: &Caller,
        organization: &str,
        attempt: &mut Attempt<'_>,
    ) -> Result<()> {
        let found = self.organization_resolve(caller, organization).await?;
        attempt.of(found.id).about(found.id.0, &found.name).icon(&found.icon);
        let object = Object::of(Resource::Organization, found.id);
        authorize(caller.user()?, Action::Delete, &object, Kind::Organization)?;
        if found.is_default {
            return Err(Error::DefaultOrganization);
        }
        let tx = self.store.begin().await?;
        // Whoever puts something into it holds it, and so comes before this or finds it deleted.
        let current = store::organization::lock(&tx, found.id).await?;
        let leftovers = store::organization::leftovers(&tx, found.id).await?;
        if !leftovers.is_empty() {
            return Err(Error::OrganizationNotEmpty(leftovers));
        }
        let deleted = organization::Model { deleted: true, updated_at: store::now(&tx).await?, ..current.clone() };
        store::organization::update(&tx, deleted.clone()).await?;
        attempt.change(Some(&current), Some(&deleted)).commit(tx).await
    }
}

/// Whether nothing narrows the organizations that the subject may read.
fn reads_all(subject: &Subject) -> bool {
    allowed(subject, Action::Read, &Object::site(Resource::Organization))
}

#[cfg(test)]
pub(super) mod tests;

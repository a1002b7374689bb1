//! The roles that an organization's members can hold, and those of its own making.

use std::collections::BTreeSet;

use super::audit::Attempt;
use super::{Caller, Service};
use crate::domain::audit::{AuditAction, AuditResource};
use crate::domain::error::Kind;
use crate::domain::id::{CustomRoleId, OrganizationId};
use crate::domain::permission::{
    self, Action, Assignable, Object, OrganizationRole, Resource, Subject, Unknown, Wanted, authorize, holds_all,
    may_assign, of_stored,
};
use crate::domain::rule::Violations;
use crate::domain::{Error, Result, name};
use crate::store;
use crate::store::entity::custom_role;

/// Roles of one organization's making.
const MOST: u64 = 1000;

/// What a role is made from, or changed to.
#[derive(Debug, Clone, Default)]
pub struct RoleDraft {
    /// Its name.
    pub name: String,
    /// Its name for people.
    pub display_name: String,
    /// What it grants.
    pub permissions: Vec<Wanted>,
    /// Members of the request with permissions that no role of an organization has.
    pub elsewhere: Vec<&'static str>,
}

/// A role, and whether the caller may give it to others.
#[derive(Debug, Clone)]
pub struct RoleView {
    /// Its name.
    pub name: String,
    /// Its name for people.
    pub display_name: String,
    /// What it grants.
    pub grants: BTreeSet<(Resource, Action)>,
    /// What it takes away.
    pub bans: BTreeSet<(Resource, Action)>,
    /// Whether the caller may give it to others.
    pub assignable: bool,
    /// Whether every organization has it.
    pub built_in: bool,
}

impl Service {
    /// The roles of an organization: those that all have, then its own by name.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the caller may not read them.
    pub async fn role_list(&self, caller: &Caller, organization: &str) -> Result<(OrganizationId, Vec<RoleView>)> {
        let subject = caller.user()?;
        let organization = self.organization_resolve(caller, organization).await?.id;
        let object = Object::of(Resource::AssignOrgRole, organization);
        authorize(subject, Action::Read, &object, Kind::Role)?;
        let built_in = OrganizationRole::ALL.into_iter().map(|role| RoleView {
            name: role.text().to_owned(),
            display_name: role.display().to_owned(),
            grants: permission::granted_by(role).collect(),
            bans: permission::banned_by(role).collect(),
            assignable: may_assign(subject, organization, Assignable::BuiltIn(role)),
            built_in: true,
        });
        let custom = store::custom_role::list(&self.store, organization).await?.into_iter().map(|role| {
            let grants = permission::of_stored(&role.permissions).collect();
            RoleView {
                assignable: may_assign(subject, organization, Assignable::Custom(&grants)),
                name: role.name,
                display_name: role.display_name,
                grants,
                bans: BTreeSet::new(),
                built_in: false,
            }
        });
        Ok((organization, built_in.chain(custom).collect()))
    }

    /// Makes a role.
    ///
    /// # Errors
    /// [`Error::NotFound`] or [`Error::Denied`] as the caller's permission has it, [`Error::Invalid`] when a rule is
    /// broken, the name is taken, or the role would grant what the caller doesn't hold.
    pub async fn custom_role_create(
        &self,
        caller: &Caller,
        organization: &str,
        draft: RoleDraft,
    ) -> Result<custom_role::Model> {
        let mut attempt = self.attempt(caller, AuditAction::Create, AuditResource::CustomRole);
        let result = self.custom_role_create_attempt(caller, organization, draft, &mut attempt).await;
        attempt.end(result).await
    }

    async fn custom_role_create_attempt(
        &self,
        caller: &Caller,
        organization: &str,
        draft: RoleDraft,
        attempt: &mut Attempt<'_>,
    ) -> Result<custom_role::Model> {
        let organization = self.organization_of_roles(caller, organization, Action::Create, attempt).await?;
        attempt.named(&draft.name);
        let mut violations = Violations::default();
        violations.check("name", name::custom_role(&draft.name));
        let permissions = checked(caller.user()?, organization, &draft, Unknown::Refused, violations)?;
        let tx = self.store.begin().await?;
        store::organization::lock(&tx, organization).await?;
        if store::custom_role::count(&tx, organization).await? >= MOST {
            return Err(Error::invalid("name", format!("must wait: the organization has {MOST} roles, the most")));
        }
        let now = store::now(&tx).await?;
        let role = custom_role::Model {
            id: CustomRoleId::new(),
            organization_id: organization,
            name: draft.name,
            display_name: draft.display_name,
            permissions,
            created_at: now,
            updated_at: now,
        };
        // As clients know it, not a conflict.
        store::custom_role::insert(&tx, role.clone()).await.map_err(|error| match error {
            Error::AlreadyExists { field, .. } => Error::invalid(field, "must not be in use already"),
            error => error,
        })?;
        attempt.about(role.id.0, &role.name).change(None, Some(&role)).commit(tx).await?;
        Ok(role)
    }

    /// Changes the role of a name, which stays.
    ///
    /// # Errors
    /// Those of [`Self::custom_role_create`], and [`Error::NotFound`] when there is none.
    pub async fn custom_role_update(
        &self,
        caller: &Caller,
        organization: &str,
        draft: RoleDraft,
    ) -> Result<custom_role::Model> {
        let mut attempt = self.attempt(caller, AuditAction::Write, AuditResource::CustomRole);
        let result = self.custom_role_update_attempt(caller, organization, draft, &mut attempt).await;
        attempt.end(result).await
    }

    async fn custom_role_update_attempt(
        &self,
        caller: &Caller,
        organization: &str,
        draft: RoleDraft,
        attempt: &mut Attempt<'_>,
    ) -> Result<custom_role::Model> {
        let organization = self.organization_of_roles(caller, organization, Action::Update, attempt).await?;
        attempt.named(&draft.name);
        let permissions = checked(caller.user()?, organization, &draft, Unknown::Dropped, Violations::default())?;
        let tx = self.store.begin().await?;
        store::organization::lock(&tx, organization).await?;
        let current = store::custom_role::find(&tx, organization, &draft.name).await?;
        check_holds(caller.user()?, &current)?;
        let updated = custom_role::Model {
            display_name: draft.display_name,
            permissions,
            updated_at: store::now(&tx).await?,
            ..current.clone()
        };
        store::custom_role::update(&tx, updated.clone()).await?;
        attempt.about(updated.id.0, &updated.name).change(Some(&current), Some(&updated)).commit(tx).await?;
        Ok(updated)
    }

    /// Deletes a role, and takes it from everybody who has it.
    ///
    /// # Errors
    /// [`Error::NotFound`] or [`Error::Denied`] as the caller's permission has it.
    pub async fn custom_role_delete(&self, caller: &Caller, organization: &str, name: &str) -> Result<()> {
        let mut attempt = self.attempt(caller, AuditAction::Delete, AuditResource::CustomRole);
        let result = self.custom_role_delete_attempt(caller, organization, name, &mut attempt).await;
        attempt.end(result).await
    }

    async fn custom_role_delete_attempt(
        &self,
        caller: &Caller,
        organization: &str,
        name: &str,
        attempt: &mut Attempt<'_>,
    ) -> Result<()> {
        let organization = self.organization_of_roles(caller, organization, Action::Delete, attempt).await?;
        attempt.named(name);
        let tx = self.store.begin().await?;
        // Whoever gives the role holds the organization, and so comes before this or finds the role gone.
        store::organization::lock(&tx, organization).await?;
        let role = store::custom_role::find(&tx, organization, name).await?;
        check_holds(caller.user()?, &role)?;
        store::member_role::take_from_all(&tx, organization, &role.name).await?;
        store::custom_role::delete(&tx, role.id).await?;
        attempt.about(role.id.0, &role.name).change(Some(&role), None).commit(tx).await
    }

    async fn organization_of_roles(
        &self,
        caller: &Caller,
        organization: &str,
        action: Action,
        attempt: &mut Attempt<'_>,
    ) -> Result<OrganizationId> {
        let organization = self.organization_resolve(caller, organization).await?.id;
        attempt.of(organization);
        authorize(caller.user()?, action, &Object::of(Resource::AssignOrgRole, organization), Kind::Role)?;
        Ok(organization)
    }
}

/// What a draft grants, as it is stored, if the subject may grant it.
fn checked(
    subject: &Subject,
    organization: OrganizationId,
    draft: &RoleDraft,
    unknown: Unknown,
    mut violations: Violations,
) -> Result<String> {
    violations.check("display_name", name::display(&draft.display_name));
    for field in &draft.elsewhere {
        violations.add(*field, "must be empty: a role of an organization has organization_permissions only");
    }
    let permissions = Wanted::read(&draft.permissions, unknown, &mut violations);
    for (resource, action) in &permissions {
        if !holds_all(subject, organization, [(*resource, *action)]) {
            let (resource, action) = (resource.text(), action.text());
            let rule = format!("{resource}:{action} isn't yours to grant: you don't hold it in the whole organization");
            violations.add("organization_permissions", rule);
        }
    }
    violations.finish()?;
    Ok(permission::stored(&permissions))
}

/// That a subject holds all that a role grants: nobody takes from others what they couldn't give.
fn check_holds(subject: &Subject, role: &custom_role::Model) -> Result<()> {
    let holds = holds_all(subject, role.organization_id, of_stored(&role.permissions));
    if holds { Ok(()) } else { Err(Error::Denied) }
}

#[cfg(test)]
pub(super) mod tests;

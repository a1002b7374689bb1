//! Templates.

mod search;

use std::collections::{BTreeMap, BTreeSet};

use super::audit::Attempt;
use super::{Caller, Service};
use crate::domain::audit::{AuditAction, AuditResource};
use crate::domain::error::Kind;
use crate::domain::id::{OrganizationId, TemplateId, TemplateVersionId, UserId};
use crate::domain::job::Status;
use crate::domain::permission::{Action, Object, Resource, Subject, authorize, reach};
use crate::domain::rule::Violations;
use crate::domain::{Error, Result, name};
use crate::store;
use crate::store::entity::{organization, template, user_account};

/// Characters of a new template's description.
const MAX_DESCRIPTION: usize = 127;

/// A template to be, as a client asks for it.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)]
pub struct NewTemplate {
    pub organization: String,
    pub name: String,
    pub display_name: String,
    pub description: String,
    pub icon: String,
    pub template_version_id: String,
    pub allow_user_cancel_workspace_jobs: bool,
    /// Members that ask for what this server doesn't do yet.
    pub unsupported: Vec<&'static str>,
}

/// A template with what clients are told about it.
#[derive(Debug, Clone)]
pub struct TemplateView {
    /// The template.
    pub template: template::Model,
    /// Whose it is.
    pub organization: organization::Model,
    /// Who made it.
    pub created_by: user_account::Model,
}

impl Service {
    /// Makes a template of an imported version.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Denied`], [`Error::NotFound`] for the organization or version,
    /// [`Error::AlreadyExists`].
    pub async fn template_create(&self, caller: &Caller, new: NewTemplate) -> Result<TemplateView> {
        let mut attempt = self.attempt(caller, AuditAction::Create, AuditResource::Template);
        let result = self.template_create_attempt(caller, new, &mut attempt).await;
        attempt.end(result).await
    }

    async fn template_create_attempt(
        &self,
        caller: &Caller,
        new: NewTemplate,
        attempt: &mut Attempt<'_>,
    ) -> Result<TemplateView> {
        let subject = caller.user()?;
        attempt.named(&new.name);
        let organization = self.organization_resolve(caller, &new.organization).await?;
        attempt.of(organization.id);
        let object = Object::of(Resource::Template, organization.id);
        authorize(subject, Action::Create, &object, Kind::Template)?;
        let version_id = validate(&new)?;
        let found = store::template_version::find(&self.store, version_id).await?;
        let version = found.filter(|version| version.organization_id == organization.id);
        let version = version.ok_or(Error::NotFound(Kind::TemplateVersion))?;
        let import = store::provisioner_job::find(&self.store, version.job_id).await?;
        let import = import.ok_or_else(|| Error::internal("a version without its job"))?;

        let tx = self.store.begin().await?;
        let organization = store::organization::hold(&tx, organization.id).await?;
        let created_at = store::now(&tx).await?;
        let template = template::Model {
            id: TemplateId::new(),
            organization_id: organization.id,
            name: new.name,
            display_name: new.display_name,
            description: new.description,
            icon: new.icon,
            engine: import.engine,
            active_version_id: version.id,
            allow_user_cancel_workspace_jobs: new.allow_user_cancel_workspace_jobs,
            created_by: subject.user_id,
            deleted: false,
            created_at,
            updated_at: created_at,
        };
        store::template::insert(&tx, &template).await?;
        if !store::template_version::attach(&tx, version.id, template.id).await? {
            let rule = "must be the id of a version that isn't archived and is of no template yet";
            return Err(Error::invalid("template_version_id", rule));
        }
        attempt.about(template.id.0, &template.name).icon(&template.icon);
        attempt.change(None, Some(&template)).commit(tx).await?;
        self.template_view(template).await
    }

    /// The templates of an organization, or with an empty name all that the caller may read, that a search finds, by name.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the organization, [`Error::Invalid`].
    pub async fn template_list(&self, caller: &Caller, organization: &str, q: &str) -> Result<Vec<TemplateView>> {
        let subject = caller.user()?;
        let organizations = if organization.is_empty() {
            reach(subject, Action::Read, Resource::Template).whole().map(|ids| ids.iter().copied().collect())
        } else {
            let organization = self.organization_resolve(caller, organization).await?;
            authorize(subject, Action::Read, &Object::of(Resource::Template, organization.id), Kind::Organization)?;
            Some(vec![organization.id])
        };
        let wanted = search::Wanted::parse(q, subject.user_id)?;
        let only = match &wanted.organization {
            Some(named) => Some(self.organization_searched(caller, named).await?.id),
            None => None,
        };
        let templates = store::template::list(&self.store, organizations).await?;
        let views = self.template_views(templates).await?.into_iter();
        let views = views.filter(|view| only.is_none_or(|only| only == view.organization.id));
        Ok(views.filter(|view| wanted.has(view)).collect())
    }

    /// A template.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn template_get(&self, caller: &Caller, id: &str) -> Result<TemplateView> {
        let template = self.template_find(caller.user()?, id).await?;
        self.template_view(template).await
    }

    /// A template by its name, in any case.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the organization or template.
    pub async fn template_get_by_name(&self, caller: &Caller, organization: &str, name: &str) -> Result<TemplateView> {
        let organization = self.organization_resolve(caller, organization).await?;
        let object = Object::of(Resource::Template, organization.id);
        authorize(caller.user()?, Action::Read, &object, Kind::Template)?;
        // What can't be a name isn't looked up: not every text is one for the database.
        let found = match name::identifier(name) {
            Ok(()) => store::template::find_by_name(&self.store, organization.id, name).await?,
            Err(_) => None,
        };
        self.template_view(found.ok_or(Error::NotFound(Kind::Template))?).await
    }

    /// Deletes a template that no live workspace is made from; its name can be used again at once.
    ///
    /// # Errors
    /// [`Error::NotFound`] or [`Error::Denied`] as the caller's permission has it, [`Error::TemplateInUse`].
    pub async fn template_delete(&self, caller: &Caller, id: &str) -> Result<()> {
        let mut attempt = self.attempt(caller, AuditAction::Delete, AuditResource::Template);
        let result = self.template_delete_attempt(caller, id, &mut attempt).await;
        attempt.end(result).await
    }

    async fn template_delete_attempt(&self, caller: &Caller, id: &str, attempt: &mut Attempt<'_>) -> Result<()> {
        let found = self.template_find(caller.user()?, id).await?;
        attempt.of(found.organization_id).about(found.id.0, &found.name).icon(&found.icon);
        let object = Object::of(Resource::Template, found.organization_id);
        authorize(caller.user()?, Action::Delete, &object, Kind::Template)?;
        let tx = self.store.begin().await?;
        // Whoever makes a workspace of it holds it, and so comes before this or finds it deleted.
        let current = store::template::lock(&tx, found.id).await?;
        match store::template::workspaces(&tx, found.id).await? {
            0 => {}
            workspaces => return Err(Error::TemplateInUse(workspaces)),
        }
        let updated_at = store::now(&tx).await?;
        let deleted = template::Model { deleted: true, updated_at, ..current.clone() };
        store::template::update(&tx, deleted.clone()).await?;
        attempt.change(Some(&current), Some(&deleted)).commit(tx).await
    }

    /// Makes another version of a template the active one.
    ///
    /// # Errors
    /// [`Error::NotFound`] or [`Error::Denied`] as the caller's permission has it, [`Error::NotFound`] for the version,
    /// [`Error::Invalid`] for another template's or an archived one, [`Error::ImportNotSucceeded`].
    pub async fn template_activate(&self, caller: &Caller, id: &str, version: &str) -> Result<()> {
        let mut attempt = self.attempt(caller, AuditAction::Write, AuditResource::Template);
        let result = self.template_activate_attempt(caller, id, version, &mut attempt).await;
        attempt.end(result).await
    }

    async fn template_activate_attempt(
        &self,
        caller: &Caller,
        id: &str,
        version: &str,
        attempt: &mut Attempt<'_>,
    ) -> Result<()> {
        let found = self.template_find(caller.user()?, id).await?;
        attempt.of(found.organization_id).about(found.id.0, &found.name).icon(&found.icon);
        let object = Object::of(Resource::Template, found.organization_id);
        authorize(caller.user()?, Action::Update, &object, Kind::Template)?;
        let version = TemplateVersionId::parse(version).ok_or_else(|| Error::invalid("id", "must be a UUID"))?;
        let tx = self.store.begin().await?;
        let current = store::template::lock(&tx, found.id).await?;
        let version = store::template_version::find(&tx, version).await?;
        let version = version.filter(|version| version.organization_id == current.organization_id);
        let version = version.ok_or(Error::NotFound(Kind::TemplateVersion))?;
        if version.template_id != Some(current.id) || version.archived {
            return Err(Error::invalid("id", "must be the id of a version of this template that isn't archived"));
        }
        let import = store::provisioner_job::find(&tx, version.job_id).await?;
        let import = import.ok_or_else(|| Error::internal("a version without its job"))?;
        if import.status != Status::Succeeded {
            return Err(Error::ImportNotSucceeded(import.status));
        }
        let updated_at = store::now(&tx).await?;
        let updated = template::Model { active_version_id: version.id, updated_at, ..current.clone() };
        store::template::update(&tx, updated.clone()).await?;
        attempt.change(Some(&current), Some(&updated)).commit(tx).await
    }

    /// A live template that the subject may read.
    pub(super) async fn template_find(&self, subject: &Subject, id: &str) -> Result<template::Model> {
        let id = TemplateId::parse(id).ok_or_else(|| Error::invalid("template", "must be a UUID"))?;
        let template = store::template::find(&self.store, id).await?.ok_or(Error::NotFound(Kind::Template))?;
        let object = Object::of(Resource::Template, template.organization_id);
        authorize(subject, Action::Read, &object, Kind::Template)?;
        Ok(template)
    }

    async fn template_view(&self, template: template::Model) -> Result<TemplateView> {
        let views = self.template_views(vec![template]).await?;
        views.into_iter().next().ok_or(Error::NotFound(Kind::Template))
    }

    /// Leaves out what is of an organization that was deleted at this moment.
    async fn template_views(&self, templates: Vec<template::Model>) -> Result<Vec<TemplateView>> {
        let organizations: BTreeSet<OrganizationId> = templates.iter().map(|t| t.organization_id).collect();
        let organizations = store::organization::find_all(&self.store, &organizations).await?;
        let organizations: BTreeMap<_, _> = organizations.into_iter().map(|o| (o.id, o)).collect();
        let users: BTreeSet<UserId> = templates.iter().map(|t| t.created_by).collect();
        let users = store::user::find_many(&self.store, users).await?;
        let view = |template: template::Model| {
            let organization = organizations.get(&template.organization_id)?.clone();
            let created_by = users.get(&template.created_by)?.clone();
            Some(TemplateView { template, organization, created_by })
        };
        Ok(templates.into_iter().filter_map(view).collect())
    }
}

fn validate(new: &NewTemplate) -> Result<TemplateVersionId> {
    let mut violations = Violations::default();
    violations.check("name", name::identifier(&new.name));
    violations.check("display_name", name::display(&new.display_name));
    if new.description.chars().count() > MAX_DESCRIPTION || new.description.contains('\0') {
        violations.add("description", "must be at most 127 characters, without NUL characters");
    }
    violations.check("icon", name::icon(&new.icon));
    let version = TemplateVersionId::parse(&new.template_version_id);
    if version.is_none() {
        violations.add("template_version_id", "must be a UUID");
    }
    for field in &new.unsupported {
        violations.add(*field, "must be unset, 0 or false: this server doesn't support it yet");
    }
    violations.finish()?;
    version.ok_or_else(|| Error::invalid("template_version_id", "must be a UUID"))
}

#[cfg(test)]
pub(crate) mod testing;

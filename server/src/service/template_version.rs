//! Versions of templates: an archive, its import, and what that found.

use std::collections::{BTreeMap, BTreeSet};

use zeroize::Zeroizing;

use super::audit::Attempt;
use super::{Caller, Service, part};
use crate::domain::audit::{AuditAction, AuditResource};
use crate::domain::engine::Engine;
use crate::domain::error::Kind;
use crate::domain::id::{FileId, JobId, TemplateId, TemplateVersionId};
use crate::domain::job::Input;
use crate::domain::page::Page;
use crate::domain::permission::{Action, Object, Resource, Subject, authorize};
use crate::domain::rule::Violations;
use crate::domain::secret::Secret;
use crate::domain::tags::{self, Tags};
use crate::domain::{Error, Result, name, version_name};
use crate::service::job_view::JobView;
use crate::service::workspace_build::ResourceView;
use crate::store;
use crate::store::Access as _;
use crate::store::entity::{template_version, template_version_variable, user_account};
use crate::store::provisioner_job::NewJob;

/// Characters of a version's message.
const MAX_MESSAGE: usize = 1024 * 1024;
/// What is shown of a sensitive value.
const REDACTED: &str = "*redacted*";
/// Values of variables that come with a version.
const MAX_VALUES: usize = 1000;
/// Bytes of their names and values: with all else that a daemon gets they have to fit into one message.
const MAX_VALUE_BYTES: usize = 512 * 1024;
/// Versions that are read at once: each may have a message and a readme of a megabyte.
const AT_ONCE: usize = 10;
/// Names tried for a version that comes without one.
const NAME_ATTEMPTS: usize = 10;

/// A version to be, as a client asks for it.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)]
pub struct NewTemplateVersion {
    pub organization: String,
    pub name: String,
    pub message: String,
    pub template_id: String,
    pub storage_method: String,
    pub file_id: String,
    pub provisioner: String,
    pub tags: BTreeMap<String, String>,
    pub user_variable_values: Vec<(String, Secret)>,
    pub example_id: String,
}

/// A version with what clients are told about it.
#[derive(Debug, Clone)]
pub struct TemplateVersionView {
    /// The version.
    pub version: template_version::Model,
    /// Its import.
    pub job: JobView,
    /// Who made it.
    pub created_by: user_account::Model,
}

impl TemplateVersionView {
    /// Bytes of its long texts.
    fn texts(&self) -> usize {
        self.version.message.len() + self.version.readme.len() + self.job.job.error.len()
    }
}

/// A variable of a version, opened; sensitive values are masked.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct Variable {
    pub name: String,
    pub description: String,
    pub kind: String,
    pub value: Secret,
    pub default_value: Secret,
    pub required: bool,
    pub sensitive: bool,
}

impl Service {
    /// Stores a version and queues its import.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Denied`], [`Error::NotFound`] for the organization, template or file,
    /// [`Error::AlreadyExists`] when the template has a version of this name.
    pub async fn template_version_create(
        &self,
        caller: &Caller,
        new: NewTemplateVersion,
    ) -> Result<TemplateVersionView> {
        let mut attempt = self.attempt(caller, AuditAction::Create, AuditResource::TemplateVersion);
        let result = self.template_version_create_attempt(caller, new, &mut attempt).await;
        attempt.end(result).await
    }

    async fn template_version_create_attempt(
        &self,
        caller: &Caller,
        new: NewTemplateVersion,
        attempt: &mut Attempt<'_>,
    ) -> Result<TemplateVersionView> {
        let subject = caller.user()?;
        attempt.named(&new.name);
        let organization = self.organization_resolve(caller, &new.organization).await?;
        attempt.of(organization.id);
        let ValidVersion { template_id, file_id, engine, values } = validate(&new)?;
        let object = Object::of(Resource::Template, organization.id);
        if let Some(id) = template_id {
            let template = store::template::find(&self.store, id).await?;
            template.filter(|t| t.organization_id == organization.id).ok_or(Error::NotFound(Kind::Template))?;
            authorize(subject, Action::Update, &object, Kind::Template)?;
        } else {
            authorize(subject, Action::Create, &object, Kind::Template)?;
        }
        let file = self.file_find(subject, file_id).await?;
        let values = Zeroizing::new(serde_json::to_vec(&values).map_err(Error::internal)?);

        let tx = self.store.begin().await?;
        store::organization::hold(&tx, organization.id).await?;
        let name = if new.name.is_empty() { free_name(&tx, template_id).await? } else { new.name.clone() };
        let (id, job_id) = (TemplateVersionId::new(), JobId::new());
        let job = store::provisioner_job::insert(
            &tx,
            NewJob {
                id: job_id,
                organization_id: organization.id,
                initiator_id: subject.user_id,
                input: Input::Import(id),
                engine,
                tags: Tags::of_job(&new.tags, subject.user_id),
                automatic: false,
                file_id: file.id,
            },
        )
        .await?;
        let version = template_version::Model {
            id,
            organization_id: organization.id,
            template_id,
            job_id,
            name,
            message: new.message,
            readme: String::new(),
            user_variable_values: tx.sealer().seal(&values),
            lock_file: String::new(),
            archived: false,
            created_by: subject.user_id,
            created_at: job.created_at,
            updated_at: job.created_at,
        };
        store::template_version::insert(&tx, &version).await?;
        attempt.about(version.id.0, &version.name).change(None, Some(&version)).commit(tx).await?;
        self.dispatcher.announce();
        self.template_version_view(version).await
    }

    /// A version.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn template_version_get(&self, caller: &Caller, id: &str) -> Result<TemplateVersionView> {
        let version = self.template_version_find(caller.user()?, id).await?;
        self.template_version_view(version).await
    }

    /// A template's versions, oldest first; as many as one answer holds.
    ///
    /// # Errors
    /// [`Error::Invalid`], or [`Error::NotFound`] for the template.
    pub async fn template_version_list(
        &self,
        caller: &Caller,
        template: &str,
        (limit, offset): (i32, i32),
        after_id: &str,
    ) -> Result<Vec<TemplateVersionView>> {
        let template = self.template_find(caller.user()?, template).await?;
        let mut violations = Violations::default();
        let page = Page::parse(limit, offset, &mut violations);
        let after = match (after_id, TemplateVersionId::parse(after_id)) {
            ("", _) => None,
            (_, None) => {
                violations.add("after_id", "must be a UUID");
                None
            }
            (_, Some(id)) => {
                let found = store::template_version::find(&self.store, id).await?;
                let found = found.filter(|version| version.template_id == Some(template.id));
                if found.is_none() {
                    violations.add("after_id", "must be the id of a version of this template");
                }
                found
            }
        };
        violations.finish()?;
        let ids = store::template_version::list(&self.store, template.id, page, after.as_ref()).await?;
        let read = async |ids: Vec<TemplateVersionId>| {
            let found = store::template_version::find_many(&self.store, ids.clone()).await?;
            let mut found: BTreeMap<_, _> = found.into_iter().map(|version| (version.id, version)).collect();
            self.template_version_views(ids.iter().filter_map(|id| found.remove(id)).collect()).await
        };
        part::that_fits(ids, AT_ONCE, read, TemplateVersionView::texts).await
    }

    /// Cancels a version's import.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::JobEnded`] or [`Error::JobCanceling`].
    pub async fn template_version_cancel(&self, caller: &Caller, id: &str) -> Result<()> {
        let mut attempt = self.attempt(caller, AuditAction::Write, AuditResource::TemplateVersion);
        let result = self.template_version_cancel_attempt(caller, id, &mut attempt).await;
        attempt.end(result).await
    }

    async fn template_version_cancel_attempt(
        &self,
        caller: &Caller,
        id: &str,
        attempt: &mut Attempt<'_>,
    ) -> Result<()> {
        let subject = caller.user()?;
        let version = self.template_version_find(subject, id).await?;
        attempt.of(version.organization_id).about(version.id.0, &version.name);
        let object = Object::of(Resource::Template, version.organization_id);
        authorize(subject, Action::Update, &object, Kind::TemplateVersion)?;
        self.job_stop(version.job_id, None).await
    }

    /// The variables that a version's import found.
    ///
    /// # Errors
    /// [`Error::NotFound`], or [`Error::VariablesUnknown`] before the import has ended.
    pub async fn template_version_variables(&self, caller: &Caller, id: &str) -> Result<Vec<Variable>> {
        let version = self.template_version_find(caller.user()?, id).await?;
        let job = store::provisioner_job::find(&self.store, version.job_id).await?;
        if job.is_none_or(|job| job.status.is_active()) {
            return Err(Error::VariablesUnknown);
        }
        let variables = store::template_version::variables(&self.store, version.id).await?;
        variables.into_iter().map(|variable| self.opened(variable)).collect()
    }

    /// What builds of a version would make, by its import.
    ///
    /// # Errors
    /// [`Error::NotFound`], or [`Error::JobActive`] before the import has ended.
    pub async fn template_version_resources(&self, caller: &Caller, id: &str) -> Result<Vec<ResourceView>> {
        let version = self.template_version_find(caller.user()?, id).await?;
        let job = store::provisioner_job::find(&self.store, version.job_id).await?;
        if job.is_none_or(|job| job.status.is_active()) {
            return Err(Error::JobActive);
        }
        let resources = store::workspace_build::resources(&self.store, vec![version.job_id]).await?;
        resources.into_iter().map(|resource| self.resource_view(resource)).collect()
    }

    fn opened(&self, variable: template_version_variable::Model) -> Result<Variable> {
        let open = |sealed: &[u8]| -> Result<Secret> {
            if variable.sensitive && !sealed.is_empty() {
                return Ok(REDACTED.into());
            }
            let plain = self.store.sealer().open(sealed).map_err(Error::internal)?;
            String::from_utf8(plain).map(Secret::from).map_err(Error::internal)
        };
        Ok(Variable {
            value: open(&variable.value)?,
            default_value: open(&variable.default_value)?,
            name: variable.name,
            description: variable.description,
            kind: variable.kind,
            required: variable.required,
            sensitive: variable.sensitive,
        })
    }

    /// A version that the subject may read.
    pub(super) async fn template_version_find(&self, subject: &Subject, id: &str) -> Result<template_version::Model> {
        let id = TemplateVersionId::parse(id).ok_or_else(|| Error::invalid("template_version", "must be a UUID"))?;
        let found = store::template_version::find(&self.store, id).await?;
        let version = found.ok_or(Error::NotFound(Kind::TemplateVersion))?;
        let object = Object::of(Resource::Template, version.organization_id);
        authorize(subject, Action::Read, &object, Kind::TemplateVersion)?;
        Ok(version)
    }

    async fn template_version_view(&self, version: template_version::Model) -> Result<TemplateVersionView> {
        let views = self.template_version_views(vec![version]).await?;
        views.into_iter().next().ok_or(Error::NotFound(Kind::TemplateVersion))
    }

    async fn template_version_views(&self, versions: Vec<template_version::Model>) -> Result<Vec<TemplateVersionView>> {
        let mut jobs = self.job_views(versions.iter().map(|version| version.job_id).collect()).await?;
        let users = versions.iter().map(|version| version.created_by).collect();
        let users = store::user::find_many(&self.store, users).await?;
        let view = |version: template_version::Model| {
            let job = jobs.remove(&version.job_id).ok_or_else(|| Error::internal("a version without its job"))?;
            let created_by = users.get(&version.created_by).cloned();
            let created_by = created_by.ok_or_else(|| Error::internal("a version without its user"))?;
            Ok(TemplateVersionView { version, job, created_by })
        };
        versions.into_iter().map(view).collect()
    }
}

/// What a valid request asks for.
struct ValidVersion<'a> {
    template_id: Option<TemplateId>,
    file_id: FileId,
    engine: Engine,
    values: BTreeMap<&'a str, &'a str>,
}

fn validate(new: &NewTemplateVersion) -> Result<ValidVersion<'_>> {
    let mut violations = Violations::default();
    if !new.name.is_empty() {
        violations.check("name", name::template_version(&new.name));
    }
    if new.message.chars().count() > MAX_MESSAGE || new.message.contains('\0') {
        violations.add("message", "must be at most 1048576 characters, without NUL characters");
    }
    let template_id = TemplateId::parse(&new.template_id);
    if template_id.is_none() && !new.template_id.is_empty() {
        violations.add("template_id", "must be a UUID");
    }
    if new.storage_method != "file" {
        violations.add("storage_method", "must be `file`");
    }
    let file_id = FileId::parse(&new.file_id);
    if !new.example_id.is_empty() {
        violations.add("example_id", "must be empty: this server has no built-in examples; upload a file instead");
    } else if file_id.is_none() {
        violations.add("file_id", "must be the UUID of an uploaded file");
    }
    let engine = Engine::parse(&new.provisioner);
    if engine.is_none() {
        violations.add("provisioner", "must be `terraform` or `echo`");
    }
    violations.check("tags", tags::requested(&new.tags));
    let values = variable_values(&new.user_variable_values, &mut violations);
    violations.finish()?;
    let (Some(file_id), Some(engine)) = (file_id, engine) else { return Err(Error::Invalid(Vec::new())) };
    Ok(ValidVersion { template_id, file_id, engine, values })
}

/// Values of variables by their names; none when there are more than are taken.
pub(super) fn variable_values<'a>(
    given: &'a [(String, Secret)],
    violations: &mut Violations,
) -> BTreeMap<&'a str, &'a str> {
    let mut values = BTreeMap::new();
    let bytes: usize = given.iter().map(|(name, value)| name.len() + value.len()).sum();
    if given.len() > MAX_VALUES || bytes > MAX_VALUE_BYTES {
        let rule = "must be at most 1000, and at most 512 KiB with their names in all";
        violations.add("user_variable_values", rule);
        return values;
    }
    let mut repeated = BTreeSet::new();
    for (name, value) in given {
        if name.is_empty() {
            violations.add("user_variable_values", "must have a name each");
        } else if values.insert(name.as_str(), &**value).is_some() && repeated.insert(name) {
            violations.add("user_variable_values", format!("must have one value for `{name}`"));
        }
    }
    values
}

/// A generated name that the template hasn't.
async fn free_name(tx: &store::Tx, template: Option<TemplateId>) -> Result<String> {
    let mut name = version_name::generate();
    let Some(template) = template else { return Ok(name) };
    for _ in 0..NAME_ATTEMPTS {
        if !store::template_version::is_named(tx, template, &name).await? {
            break;
        }
        name = version_name::generate();
    }
    Ok(name)
}

#[cfg(test)]
mod tests;

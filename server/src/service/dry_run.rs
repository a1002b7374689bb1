//! Dry runs: plans of a version with given values. One is its initiator's, as the workspace would be that it plans.

use std::collections::{BTreeMap, BTreeSet};

use zeroize::Zeroizing;

use super::audit::Attempt;
use super::workspace_build::{ResourceView, import_of, no_parameters};
use super::{Caller, Service};
use crate::domain::audit::{AuditAction, AuditResource};
use crate::domain::error::Kind;
use crate::domain::id::JobId;
use crate::domain::job::{Input, JobType};
use crate::domain::permission::{Action, Object, Resource, Subject, allowed, authorize};
use crate::domain::rule::Violations;
use crate::domain::secret::Secret;
use crate::domain::{Error, Result, name};
use crate::service::job_view::{JobView, Matched};
use crate::service::template_version::variable_values;
use crate::store;
use crate::store::Access as _;
use crate::store::entity::{dry_run, provisioner_job};
use crate::store::provisioner_job::NewJob;

/// A dry run to be, as a client asks for it.
#[derive(Debug, Clone, Default)]
pub struct NewDryRun {
    /// The version that is planned.
    pub template_version: String,
    /// The name that the workspace would have; may be empty.
    pub workspace_name: String,
    /// Names of the parameters that values are given for.
    pub parameters: Vec<String>,
    /// Values of template variables that take the place of the version's.
    pub user_variable_values: Vec<(String, Secret)>,
}

impl Service {
    /// Queues a dry run.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::NotFound`] for the version, [`Error::TooEarly`] while it is being imported.
    pub async fn dry_run_create(&self, caller: &Caller, new: NewDryRun) -> Result<JobView> {
        let mut attempt = self.attempt(caller, AuditAction::Create, AuditResource::DryRun);
        let result = self.dry_run_create_attempt(caller, new, &mut attempt).await;
        attempt.end(result).await
    }

    async fn dry_run_create_attempt(
        &self,
        caller: &Caller,
        new: NewDryRun,
        attempt: &mut Attempt<'_>,
    ) -> Result<JobView> {
        let subject = caller.user()?;
        let version = self.template_version_find(subject, &new.template_version).await?;
        attempt.of(version.organization_id).named(&version.name);
        let template = Object::of(Resource::Template, version.organization_id);
        let workspace = Object::workspace(version.organization_id, subject.user_id);
        if !allowed(subject, Action::Use, &template) || !allowed(subject, Action::Create, &workspace) {
            return Err(Error::NotFound(Kind::TemplateVersion));
        }
        let import = import_of(&self.store, &version, "template_version").await.map_err(|error| match error {
            Error::ImportUnfinished => Error::TooEarly,
            other => other,
        })?;
        let variables = store::template_version::variables(&self.store, version.id).await?;
        let known = variables.iter().map(|variable| variable.name.as_str()).collect();
        let values = validate(&new, &known)?;
        let values = Zeroizing::new(serde_json::to_vec(&values).map_err(Error::internal)?);

        let tx = self.store.begin().await?;
        store::organization::hold(&tx, version.organization_id).await?;
        let job = NewJob {
            id: JobId::new(),
            organization_id: version.organization_id,
            initiator_id: subject.user_id,
            input: Input::DryRun(version.id),
            engine: import.engine,
            tags: import.tags,
            automatic: false,
            file_id: import.file_id,
        };
        let job = store::provisioner_job::insert(&tx, job).await?;
        let dry_run = dry_run::Model {
            job_id: job.id,
            workspace_name: new.workspace_name,
            user_variable_values: tx.sealer().seal(&values),
        };
        store::dry_run::insert(&tx, &dry_run).await?;
        attempt.about(job.id.0, &version.name).change(None, Some(&dry_run)).commit(tx).await?;
        self.dispatcher.announce();
        self.dry_run_view(job).await
    }

    /// A dry run.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn dry_run_get(&self, caller: &Caller, version: &str, job: &str) -> Result<JobView> {
        let job = self.dry_run_find(caller.user()?, version, job).await?;
        self.dry_run_view(job).await
    }

    /// What a start of a workspace would make.
    ///
    /// # Errors
    /// [`Error::NotFound`], or [`Error::JobActive`] before it has ended.
    pub async fn dry_run_resources(&self, caller: &Caller, version: &str, job: &str) -> Result<Vec<ResourceView>> {
        let job = self.dry_run_find(caller.user()?, version, job).await?;
        if job.status.is_active() {
            return Err(Error::JobActive);
        }
        let resources = store::workspace_build::resources(&self.store, vec![job.id]).await?;
        resources.into_iter().map(|resource| self.resource_view(resource)).collect()
    }

    /// The daemons that could take a dry run, whether or not it still waits.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn dry_run_matched(&self, caller: &Caller, version: &str, job: &str) -> Result<Matched> {
        let job = self.dry_run_find(caller.user()?, version, job).await?;
        self.job_matched(&job).await
    }

    /// Cancels a dry run.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::JobEnded`] or [`Error::JobCanceling`].
    pub async fn dry_run_cancel(&self, caller: &Caller, version: &str, job: &str) -> Result<()> {
        let mut attempt = self.attempt(caller, AuditAction::Write, AuditResource::DryRun);
        let result = self.dry_run_cancel_attempt(caller, version, job, &mut attempt).await;
        attempt.end(result).await
    }

    async fn dry_run_cancel_attempt(
        &self,
        caller: &Caller,
        version: &str,
        job: &str,
        attempt: &mut Attempt<'_>,
    ) -> Result<()> {
        let subject = caller.user()?;
        let job = self.dry_run_find(subject, version, job).await?;
        attempt.of(job.organization_id).about(job.id.0, "");
        authorize(subject, Action::Stop, &Object::workspace(job.organization_id, job.initiator_id), Kind::Job)?;
        self.job_stop(job.id, None).await
    }

    /// The job of a version's dry run that the subject may read.
    pub(super) async fn dry_run_find(
        &self,
        subject: &Subject,
        version: &str,
        job: &str,
    ) -> Result<provisioner_job::Model> {
        let version = self.template_version_find(subject, version).await?;
        let id = JobId::parse(job).ok_or_else(|| Error::invalid("job", "must be a UUID"))?;
        let job = store::provisioner_job::find(&self.store, id).await?;
        let of_version = |job: &provisioner_job::Model| {
            job.job_type == JobType::DryRun && job.template_version_id == Some(version.id)
        };
        let job = job.filter(of_version).ok_or(Error::NotFound(Kind::Job))?;
        authorize(subject, Action::Read, &Object::workspace(job.organization_id, job.initiator_id), Kind::Job)?;
        Ok(job)
    }

    async fn dry_run_view(&self, job: provisioner_job::Model) -> Result<JobView> {
        let views = self.views_of(vec![job]).await?;
        views.into_iter().next().ok_or(Error::NotFound(Kind::Job))
    }
}

fn validate<'a>(new: &'a NewDryRun, known: &BTreeSet<&str>) -> Result<BTreeMap<&'a str, &'a str>> {
    let mut violations = Violations::default();
    if !new.workspace_name.is_empty() {
        violations.check("workspace_name", name::identifier(&new.workspace_name));
    }
    no_parameters(&new.parameters, &mut violations);
    let values = variable_values(&new.user_variable_values, &mut violations);
    for name in values.keys().filter(|name| !known.contains(*name)) {
        violations.add("user_variable_values", format!("the template version has no variable named {name:?}"));
    }
    violations.finish()?;
    Ok(values)
}

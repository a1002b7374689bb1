//! An organization's jobs, and the logs of jobs.

use std::collections::BTreeMap;

use super::audit::Attempt;
use super::job_view::JobView;
use super::{Caller, Service};
use crate::domain::audit::{AuditAction, AuditResource};
use crate::domain::error::Kind;
use crate::domain::id::{JobId, OrganizationId, UserId};
use crate::domain::job::{LogLine, Status};
use crate::domain::permission::{Action, Object, Resource, authorize};
use crate::domain::rule::Violations;
use crate::domain::workspace::Transition;
use crate::domain::{Error, Result, page, tags};
use crate::store;
use crate::store::entity::provisioner_job;
use crate::store::provisioner_job::Filter;

/// A job in an organization's lists.
#[derive(Debug, Clone)]
pub struct ListedJob {
    /// The job.
    pub view: JobView,
    /// Names for people.
    pub names: Names,
}

/// What a job is about, by names.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)]
pub struct Names {
    pub template_version_name: String,
    pub template_id: String,
    pub template_name: String,
    pub template_display_name: String,
    pub template_icon: String,
    pub workspace_id: String,
    pub workspace_name: String,
    pub transition: Option<Transition>,
}

/// Which jobs a list is of, as a client asks for it.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)]
pub struct JobQuery {
    pub organization: String,
    pub limit: i32,
    pub ids: Vec<String>,
    pub statuses: Vec<Status>,
    /// Only a status that no job has was asked for.
    pub nothing: bool,
    pub tags: BTreeMap<String, String>,
    pub initiator: String,
}

/// Whose log is read, and from where on: of a version's import, of a dry run of a version, or of a build; what isn't named
/// is empty.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)]
pub struct LogQuery {
    pub version: String,
    pub dry_run: String,
    pub build: String,
    /// The number of the line before the first.
    pub after: i64,
}

/// Where the log of a job is read.
#[derive(Debug, Clone)]
pub struct LogReader {
    pub(super) job: JobId,
    pub(super) after: i64,
}

impl Service {
    /// An organization's jobs, newest first.
    ///
    /// # Errors
    /// [`Error::Invalid`], or [`Error::NotFound`] when the caller may not read the organization's jobs.
    pub async fn job_list(&self, caller: &Caller, query: JobQuery) -> Result<Vec<ListedJob>> {
        let organization = self.jobs_organization(caller, &query.organization).await?;
        let mut violations = Violations::default();
        let limit = page::bounded(query.limit, &mut violations);
        let ids = page::ids(&query.ids, JobId::parse, &mut violations);
        violations.check("tags", tags::requested(&query.tags));
        let initiator = UserId::parse(&query.initiator);
        if initiator.is_none() && !query.initiator.is_empty() {
            violations.add("initiator", "must be a UUID");
        }
        violations.finish()?;
        if query.nothing {
            return Ok(Vec::new());
        }
        let filter = Filter { ids, statuses: query.statuses, tags: query.tags, initiator, limit: Some(limit) };
        let jobs = store::provisioner_job::list(&self.store, organization, filter).await?;
        self.listed(jobs).await
    }

    /// One of an organization's jobs.
    ///
    /// # Errors
    /// [`Error::Invalid`], or [`Error::NotFound`].
    pub async fn job_get(&self, caller: &Caller, organization: &str, id: &str) -> Result<ListedJob> {
        let job = self.job_find(caller, organization, id).await?;
        let listed = self.listed(vec![job]).await?;
        listed.into_iter().next().ok_or(Error::NotFound(Kind::Job))
    }

    /// Ends a job whose daemon is out of contact.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::NotFound`], [`Error::JobEnded`] or [`Error::NotReleasable`].
    pub async fn job_release(&self, caller: &Caller, organization: &str, id: &str) -> Result<()> {
        let mut attempt = self.attempt(caller, AuditAction::Write, AuditResource::ProvisionerJob);
        let result = self.job_release_attempt(caller, organization, id, &mut attempt).await;
        attempt.end(result).await
    }

    async fn job_release_attempt(
        &self,
        caller: &Caller,
        organization: &str,
        id: &str,
        attempt: &mut Attempt<'_>,
    ) -> Result<()> {
        let job = self.job_find(caller, organization, id).await?;
        attempt.of(job.organization_id).about(job.id.0, &job.id.to_string());
        let subject = caller.user()?;
        let object = Object::of(Resource::ProvisionerJobs, job.organization_id);
        authorize(subject, Action::Update, &object, Kind::Job)?;
        let user = store::user::find(&self.store, subject.user_id).await?.ok_or(Error::NotFound(Kind::User))?;
        self.dispatcher.queue().release(job.id, &user.username).await?;
        tracing::warn!(job = %job.id, user = %user.id, "a job was released");
        Ok(())
    }

    /// One of an organization's jobs that the caller may read.
    async fn job_find(&self, caller: &Caller, organization: &str, id: &str) -> Result<provisioner_job::Model> {
        let organization = self.jobs_organization(caller, organization).await?;
        let id = JobId::parse(id).ok_or_else(|| Error::invalid("job", "must be a UUID"))?;
        let job = store::provisioner_job::find(&self.store, id).await?;
        job.filter(|job| job.organization_id == organization).ok_or(Error::NotFound(Kind::Job))
    }

    async fn jobs_organization(&self, caller: &Caller, text: &str) -> Result<OrganizationId> {
        let organization = self.organization_resolve(caller, text).await?;
        let object = Object::of(Resource::ProvisionerJobs, organization.id);
        authorize(caller.user()?, Action::Read, &object, Kind::Job)?;
        Ok(organization.id)
    }

    async fn listed(&self, jobs: Vec<provisioner_job::Model>) -> Result<Vec<ListedJob>> {
        let mut names = store::job_names::find(&self.store, &jobs.iter().map(|job| job.id).collect::<Vec<_>>()).await?;
        let views = self.views_of(jobs).await?;
        let listed = views.into_iter().map(|view| {
            let names = names.remove(&view.job.id).map(Names::from).unwrap_or_default();
            ListedJob { view, names }
        });
        Ok(listed.collect())
    }

    /// A log.
    ///
    /// # Errors
    /// [`Error::Invalid`], or [`Error::NotFound`].
    pub async fn job_log(&self, caller: &Caller, query: &LogQuery) -> Result<LogReader> {
        let subject = caller.user()?;
        let LogQuery { version, dry_run, build, after } = query;
        if *after < 0 {
            return Err(Error::invalid("after", "must not be negative"));
        }
        let job = match (version.as_str(), dry_run.as_str(), build.as_str()) {
            (version, "", "") if !version.is_empty() => self.template_version_find(subject, version).await?.job_id,
            ("", "", build) if !build.is_empty() => self.build_find(subject, build).await?.0.job_id,
            (version, job, "") if !version.is_empty() => self.dry_run_find(subject, version, job).await?.id,
            _ => {
                let rule = "must be named, and no workspace_build, or the other way round";
                return Err(Error::invalid("template_version", rule));
            }
        };
        Ok(LogReader { job, after: *after })
    }

    /// The next lines of a log with their numbers; empty at its end.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database can't be reached.
    pub async fn job_log_next(&self, reader: &mut LogReader) -> Result<Vec<(i64, LogLine)>> {
        let lines = store::job_log::after(&self.store, reader.job, reader.after).await?;
        if let Some((number, _)) = lines.last() {
            reader.after = *number;
        }
        Ok(lines)
    }
}

impl From<store::job_names::JobNames> for Names {
    fn from(row: store::job_names::JobNames) -> Self {
        let text = |id: Option<uuid::Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
        Self {
            template_version_name: row.template_version_name.unwrap_or_default(),
            template_id: text(row.template_id),
            template_name: row.template_name.unwrap_or_default(),
            template_display_name: row.template_display_name.unwrap_or_default(),
            template_icon: row.template_icon.unwrap_or_default(),
            workspace_id: text(row.workspace_id),
            workspace_name: row.workspace_name.unwrap_or_default(),
            transition: row.transition,
        }
    }
}

#[cfg(test)]
mod tests;

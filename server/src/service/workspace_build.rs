//! Builds of workspaces, from when they are queued.

mod create;

use std::collections::BTreeMap;

use futures_util::Stream;

use super::audit::Attempt;
use super::{Caller, Service, part};
use crate::domain::audit::{AuditAction, AuditResource};
use crate::domain::error::Kind;
use crate::domain::id::{BuildId, JobId};
use crate::domain::job::Status as JobStatus;
use crate::domain::page::Page;
use crate::domain::permission::{Action, Object, Resource, Subject, allowed, authorize};
use crate::domain::rule::Violations;
use crate::domain::workspace::Status;
use crate::domain::{Error, Result, Timestamp};
use crate::service::job_view::JobView;
use crate::store;
use crate::store::entity::{job_resource, job_timing, user_account, workspace, workspace_build};

pub use create::BuildRequest;
pub(super) use create::{NewBuild, import_of, no_parameters, queue};

/// Builds that are read at once.
pub(super) const AT_ONCE: usize = 100;
/// Bytes that a resource, or something that it says about itself, takes beside its texts.
const ENTRY: usize = 128;

/// A build with what clients are told about it.
#[derive(Debug, Clone, PartialEq)]
pub struct BuildView {
    /// The build.
    pub build: workspace_build::Model,
    /// What it is a build of.
    pub workspace: workspace::Model,
    /// Whose that is.
    pub owner: user_account::Model,
    /// Who asked for it.
    pub initiator: user_account::Model,
    /// The job that does it.
    pub job: JobView,
    /// The name of the version that it is made from.
    pub version_name: String,
    /// What it made.
    pub resources: Vec<ResourceView>,
}

/// A resource with its opened metadata.
#[derive(Debug, Clone, PartialEq)]
pub struct ResourceView {
    /// The resource.
    pub resource: job_resource::Model,
    /// What it says about itself; sensitive values are left out.
    pub metadata: Vec<crate::domain::job::ResourceMetadata>,
}

impl BuildView {
    /// Bytes of its long texts.
    pub(super) fn texts(&self) -> usize {
        let of_resource = |view: &ResourceView| {
            let ResourceView { resource, metadata } = view;
            let names = [&resource.kind, &resource.name, &resource.address, &resource.module_path, &resource.icon];
            let metadata = metadata.iter().map(|item| item.key.len() + item.value.len() + ENTRY);
            ENTRY + names.iter().map(|name| name.len()).sum::<usize>() + metadata.sum::<usize>()
        };
        self.job.job.error.len() + self.resources.iter().map(of_resource).sum::<usize>()
    }

    /// What the build made of its workspace.
    #[must_use]
    pub fn status(&self) -> Status {
        Status::of(self.job.job.status, self.build.transition)
    }
}

impl Service {
    /// A workspace's builds, newest first; as many as one answer holds.
    ///
    /// # Errors
    /// [`Error::Invalid`], or [`Error::NotFound`] for the workspace.
    pub async fn build_list(
        &self,
        caller: &Caller,
        workspace: &str,
        (limit, offset): (i32, i32),
        after_id: &str,
        since: Option<Timestamp>,
    ) -> Result<Vec<BuildView>> {
        let workspace = self.workspace_find(caller.user()?, workspace).await?;
        let mut violations = Violations::default();
        let page = Page::parse(limit, offset, &mut violations);
        let after = match (after_id, BuildId::parse(after_id)) {
            ("", _) => None,
            (_, None) => {
                violations.add("after_id", "must be a UUID");
                None
            }
            (_, Some(id)) => {
                let found = store::workspace_build::find(&self.store, id).await?;
                let found = found.filter(|build| build.workspace_id == workspace.id);
                if found.is_none() {
                    violations.add("after_id", "must be the id of a build of this workspace");
                }
                found
            }
        };
        violations.finish()?;
        let builds = store::workspace_build::list(&self.store, workspace.id, page, after.as_ref(), since).await?;
        part::that_fits(builds, AT_ONCE, |builds| self.build_views(builds), BuildView::texts).await
    }

    /// A build.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn build_get(&self, caller: &Caller, id: &str) -> Result<BuildView> {
        let (build, _) = self.build_find(caller.user()?, id).await?;
        self.build_view(build).await
    }

    /// A build by its number and its workspace's owner and name.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn build_get_by_number(
        &self,
        caller: &Caller,
        user: &str,
        workspace: &str,
        number: i32,
    ) -> Result<BuildView> {
        let workspace = self.workspace_find_by_name(caller, user, workspace).await?;
        let build = store::workspace_build::find_by_number(&self.store, workspace.id, number).await?;
        self.build_view(build.ok_or(Error::NotFound(Kind::Build))?).await
    }

    /// Cancels a build, if it is in the status that is expected: `pending`, `running` or, empty, any.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::NotFound`], [`Error::Denied`], [`Error::StatusMismatch`], [`Error::JobEnded`] or
    /// [`Error::JobCanceling`].
    pub async fn build_cancel(&self, caller: &Caller, id: &str, expect_status: &str) -> Result<()> {
        let mut attempt = self.attempt(caller, AuditAction::Write, AuditResource::WorkspaceBuild);
        let result = self.build_cancel_attempt(caller, id, expect_status, &mut attempt).await;
        attempt.end(result).await
    }

    async fn build_cancel_attempt(
        &self,
        caller: &Caller,
        id: &str,
        expect_status: &str,
        attempt: &mut Attempt<'_>,
    ) -> Result<()> {
        let subject = caller.user()?;
        let (build, workspace) = self.build_find(subject, id).await?;
        attempt.of(workspace.organization_id);
        tell_of(attempt, &build, &workspace, &self.owner_name(&workspace).await?);
        let expected = match expect_status {
            "" => None,
            "pending" => Some(JobStatus::Pending),
            "running" => Some(JobStatus::Running),
            _ => return Err(Error::invalid("expect_status", "must be `pending`, `running` or empty")),
        };
        let object = Object::workspace(workspace.organization_id, workspace.owner_id);
        authorize(subject, Action::Stop, &object, Kind::Build)?;
        if expected != Some(JobStatus::Pending) && !allowed(subject, Action::Interrupt, &object) {
            let templates = store::template::find_many(&self.store, vec![workspace.template_id]).await?;
            if !templates.iter().any(|template| template.allow_user_cancel_workspace_jobs) {
                return Err(Error::Denied);
            }
        }
        self.job_stop(build.job_id, expected).await
    }

    /// What a build made.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn build_resources(&self, caller: &Caller, id: &str) -> Result<Vec<ResourceView>> {
        let (build, _) = self.build_find(caller.user()?, id).await?;
        let resources = store::workspace_build::resources(&self.store, vec![build.job_id]).await?;
        resources.into_iter().map(|resource| self.resource_view(resource)).collect()
    }

    /// How long a build's steps took.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn build_timings(&self, caller: &Caller, id: &str) -> Result<Vec<job_timing::Model>> {
        let (build, _) = self.build_find(caller.user()?, id).await?;
        store::workspace_build::timings(&self.store, build.job_id).await
    }

    /// How long the steps of a workspace's newest build took.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn workspace_timings(&self, caller: &Caller, workspace: &str) -> Result<Vec<job_timing::Model>> {
        let workspace = self.workspace_find(caller.user()?, workspace).await?;
        let build = create::latest(&self.store, workspace.id).await?;
        store::workspace_build::timings(&self.store, build.job_id).await
    }

    /// The engine's state after a build, in pieces, or the one that was handed in too late to be it; none where there is no
    /// state. For those who may update the template.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn build_state(
        &self,
        caller: &Caller,
        id: &str,
        salvaged: bool,
    ) -> Result<impl Stream<Item = Result<Vec<u8>>> + Send + use<>> {
        let subject = caller.user()?;
        let (build, workspace) = self.build_find(subject, id).await?;
        let object = Object::of(Resource::Template, workspace.organization_id);
        authorize(subject, Action::Update, &object, Kind::Build).map_err(|_| Error::NotFound(Kind::Build))?;
        let store = self.store.clone();
        let sha256 = if salvaged { build.salvaged_sha256 } else { build.state_sha256 };
        let rows = futures_util::stream::try_unfold((store, sha256, 0), async |(store, sha256, position)| {
            let Some(sha256) = sha256 else { return Ok(None) };
            let chunk = store::blob::chunk(&store, &sha256, position).await?;
            Ok(chunk.map(|chunk| (chunk, (store, Some(sha256), position + 1))))
        });
        Ok(rows)
    }

    /// The name of a workspace's owner, for the audit log.
    async fn owner_name(&self, workspace: &workspace::Model) -> Result<String> {
        let owners = store::user::find_many(&self.store, [workspace.owner_id].into()).await?;
        Ok(owners.into_values().next().map(|owner| owner.username).unwrap_or_default())
    }

    /// A build that the subject may read, and its workspace.
    pub(super) async fn build_find(
        &self,
        subject: &Subject,
        id: &str,
    ) -> Result<(workspace_build::Model, workspace::Model)> {
        let id = BuildId::parse(id).ok_or_else(|| Error::invalid("workspace_build", "must be a UUID"))?;
        let build = store::workspace_build::find(&self.store, id).await?.ok_or(Error::NotFound(Kind::Build))?;
        let workspace = self.workspace_find(subject, &build.workspace_id.to_string()).await?;
        Ok((build, workspace))
    }

    pub(super) async fn build_view(&self, build: workspace_build::Model) -> Result<BuildView> {
        let views = self.build_views(vec![build]).await?;
        views.into_iter().next().ok_or(Error::NotFound(Kind::Build))
    }

    pub(super) async fn build_views(&self, builds: Vec<workspace_build::Model>) -> Result<Vec<BuildView>> {
        let db = &self.store;
        let job_ids: Vec<JobId> = builds.iter().map(|build| build.job_id).collect();
        let mut jobs = self.job_views(job_ids.clone()).await?;
        let workspaces = store::workspace::find_many(db, distinct(builds.iter().map(|b| b.workspace_id))).await?;
        let workspaces: BTreeMap<_, _> = workspaces.into_iter().map(|w| (w.id, w)).collect();
        let versions = distinct(builds.iter().map(|b| b.template_version_id));
        let versions = store::template_version::find_many(db, versions).await?;
        let versions: BTreeMap<_, _> = versions.into_iter().map(|v| (v.id, v.name)).collect();
        let owners = workspaces.values().map(|w| w.owner_id);
        let people = owners.chain(builds.iter().map(|b| b.initiator_id)).collect();
        let people = store::user::find_many(db, people).await?;
        let mut resources: BTreeMap<JobId, Vec<ResourceView>> = BTreeMap::new();
        for resource in store::workspace_build::resources(db, job_ids).await? {
            resources.entry(resource.job_id).or_default().push(self.resource_view(resource)?);
        }
        let mut view = |build: workspace_build::Model| {
            let workspace = workspaces.get(&build.workspace_id)?.clone();
            Some(BuildView {
                owner: people.get(&workspace.owner_id)?.clone(),
                initiator: people.get(&build.initiator_id)?.clone(),
                job: jobs.remove(&build.job_id)?,
                version_name: versions.get(&build.template_version_id)?.clone(),
                resources: resources.remove(&build.job_id).unwrap_or_default(),
                workspace,
                build,
            })
        };
        let views: Option<Vec<BuildView>> = builds.into_iter().map(&mut view).collect();
        views.ok_or_else(|| Error::internal("a build without its job, version or users"))
    }

    pub(super) fn resource_view(&self, resource: job_resource::Model) -> Result<ResourceView> {
        let plain = self.store.sealer().open(&resource.metadata).map_err(Error::internal)?;
        let mut metadata: Vec<crate::domain::job::ResourceMetadata> =
            serde_json::from_slice(&plain).map_err(Error::internal)?;
        for item in metadata.iter_mut().filter(|item| item.sensitive) {
            item.value.clear();
        }
        Ok(ResourceView { resource, metadata })
    }
}

impl BuildView {
    /// As the answer to its creation: what a later read tells isn't told yet, as clients know it.
    pub(super) fn into_created(mut self) -> Self {
        self.version_name.clear();
        self.resources.clear();
        self
    }
}

/// What the audit log tells of a build.
fn tell_of(attempt: &mut Attempt<'_>, build: &workspace_build::Model, workspace: &workspace::Model, owner: &str) {
    attempt.about(build.id.0, &workspace.name);
    attempt.also("workspace_id", workspace.id).also("workspace_name", &workspace.name).also("workspace_owner", owner);
    attempt.also("build_number", build.build_number).also("build_reason", build.reason.text());
}

fn distinct<T: Ord>(ids: impl Iterator<Item = T>) -> Vec<T> {
    ids.collect::<std::collections::BTreeSet<T>>().into_iter().collect()
}

#[cfg(test)]
mod tests;

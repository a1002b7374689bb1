//! Builds of workspaces.

use std::collections::BTreeMap;

use futures_util::Stream;

use super::{Caller, Service};
use crate::domain::error::Kind;
use crate::domain::id::{BuildId, JobId, TemplateVersionId, UserId, WorkspaceId};
use crate::domain::job::{Input, Status as JobStatus};
use crate::domain::page::Page;
use crate::domain::permission::{Action, Object, Resource, SiteRole, Subject, authorize};
use crate::domain::rule::Violations;
use crate::domain::workspace::{BuildReason, Status, Transition};
use crate::domain::{Error, Result, Timestamp};
use crate::service::job_view::JobView;
use crate::store;
use crate::store::Tx;
use crate::store::entity::{job_resource, provisioner_job, template_version, user_account, workspace, workspace_build};
use crate::store::provisioner_job::NewJob;

/// Reasons that a client may give.
const REASONS: &[BuildReason] = &[
    BuildReason::Initiator,
    BuildReason::Dashboard,
    BuildReason::Cli,
    BuildReason::SshConnection,
    BuildReason::VscodeConnection,
    BuildReason::JetbrainsConnection,
    BuildReason::TaskManualPause,
];

/// A build, as a client asks for it.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)]
pub struct BuildRequest {
    pub workspace: String,
    pub transition: Option<Transition>,
    pub template_version_id: String,
    /// Names of the parameters that values are given for.
    pub parameters: Vec<String>,
    pub reason: Option<BuildReason>,
    /// Members that ask for what this server doesn't do yet.
    pub unsupported: Vec<&'static str>,
}

/// A build to be.
pub(super) struct NewBuild {
    pub(super) transition: Transition,
    pub(super) reason: BuildReason,
    pub(super) version_id: TemplateVersionId,
    pub(super) initiator_id: UserId,
}

/// A build with what clients are told about it.
#[derive(Debug, Clone)]
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
#[derive(Debug, Clone)]
pub struct ResourceView {
    /// The resource.
    pub resource: job_resource::Model,
    /// What it says about itself; sensitive values are left out.
    pub metadata: Vec<crate::domain::job::ResourceMetadata>,
}

impl BuildView {
    /// What the build made of its workspace.
    #[must_use]
    pub fn status(&self) -> Status {
        Status::of(self.job.job.status, self.build.transition)
    }
}

impl Service {
    /// Queues a build.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::NotFound`], [`Error::Denied`], [`Error::BuildActive`], [`Error::WorkspaceDeleted`],
    /// [`Error::ImportUnfinished`].
    pub async fn build_create(&self, caller: &Caller, request: BuildRequest) -> Result<BuildView> {
        let subject = caller.user()?;
        let workspace = self.workspace_find(subject, &request.workspace).await?;
        let (transition, version_id) = validate(&request)?;
        let action = if transition == Transition::Delete { Action::Delete } else { Action::Run };
        authorize(subject, action, &Object::workspace(workspace.organization_id, workspace.owner_id), Kind::Workspace)?;

        let tx = self.store.begin().await?;
        let job = store::provisioner_job::find(&tx, latest(&tx, workspace.id).await?.job_id).await?;
        let job = job.ok_or_else(|| Error::internal("a build without its job"))?;
        if job.status.is_active() {
            return Err(Error::BuildActive(Some(job.status)));
        }
        // Read only now that the job has ended: its end stored the state that this build starts from, and may have deleted
        // the workspace. Of builds that are queued at once one gets the number. The job's row isn't locked, because
        // daemons would be passed over for it.
        let previous = latest(&tx, workspace.id).await?;
        if previous.job_id != job.id {
            return Err(Error::BuildActive(None));
        }
        let workspace = store::workspace::find(&tx, workspace.id).await?.ok_or(Error::NotFound(Kind::Workspace))?;
        if workspace.deleted {
            return Err(Error::WorkspaceDeleted);
        }
        let version_id = version_id.unwrap_or(previous.template_version_id);
        let version = store::template_version::find(&tx, version_id).await?;
        let version = version.filter(|version| version.template_id == Some(workspace.template_id));
        let rule = "must be the id of a version of the workspace's template";
        let version = version.ok_or_else(|| Error::invalid("template_version_id", rule))?;
        let import = import_of(&tx, &version, "template_version_id").await?;
        let build = NewBuild {
            transition,
            reason: request.reason.unwrap_or(BuildReason::Initiator),
            version_id: version.id,
            initiator_id: subject.user_id,
        };
        let build = queue(&tx, &workspace, build, &import, Some(&previous)).await?;
        tx.commit().await?;
        self.dispatcher.wake();
        Ok(self.build_view(build).await?.into_created())
    }

    /// A workspace's builds, newest first.
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
        self.build_views(builds).await
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
        let subject = caller.user()?;
        let (build, workspace) = self.build_find(subject, id).await?;
        let expected = match expect_status {
            "" => None,
            "pending" => Some(JobStatus::Pending),
            "running" => Some(JobStatus::Running),
            _ => return Err(Error::invalid("expect_status", "must be `pending`, `running` or empty")),
        };
        authorize(
            subject,
            Action::Run,
            &Object::workspace(workspace.organization_id, workspace.owner_id),
            Kind::Build,
        )?;
        if expected != Some(JobStatus::Pending) && !subject.is(SiteRole::Owner) {
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

    /// The engine's state after a build, in pieces; none where there is no state. For those who may update the template.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn build_state(
        &self,
        caller: &Caller,
        id: &str,
    ) -> Result<impl Stream<Item = Result<Vec<u8>>> + Send + use<>> {
        let subject = caller.user()?;
        let (build, workspace) = self.build_find(subject, id).await?;
        let object = Object::of(Resource::Template, workspace.organization_id);
        authorize(subject, Action::Update, &object, Kind::Build).map_err(|_| Error::NotFound(Kind::Build))?;
        let store = self.store.clone();
        let rows =
            futures_util::stream::try_unfold((store, build.state_sha256, 0), async |(store, sha256, position)| {
                let Some(sha256) = sha256 else { return Ok(None) };
                let chunk = store::blob::chunk(&store, &sha256, position).await?;
                Ok(chunk.map(|chunk| (chunk, (store, Some(sha256), position + 1))))
            });
        Ok(rows)
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

    async fn build_views(&self, builds: Vec<workspace_build::Model>) -> Result<Vec<BuildView>> {
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

/// A workspace's newest build; there is one always.
async fn latest(tx: &Tx, workspace: WorkspaceId) -> Result<workspace_build::Model> {
    let latest = store::workspace_build::latest(tx, workspace).await?;
    latest.ok_or_else(|| Error::internal("a workspace without a build"))
}

/// The import of a version that something is to be built from; `field` named the version.
pub(super) async fn import_of(
    db: &impl store::Access,
    version: &template_version::Model,
    field: &str,
) -> Result<provisioner_job::Model> {
    let job = store::provisioner_job::find(db, version.job_id).await?;
    let job = job.ok_or_else(|| Error::internal("a version without its job"))?;
    match job.status {
        JobStatus::Succeeded => Ok(job),
        JobStatus::Pending | JobStatus::Running | JobStatus::Canceling => Err(Error::ImportUnfinished),
        JobStatus::Failed => Err(Error::invalid(field, "must be a version whose import succeeded; this one failed")),
        JobStatus::Canceled => {
            Err(Error::invalid(field, "must be a version whose import succeeded; this one was canceled"))
        }
    }
}

/// Stores a build after `previous`, whose state it takes over, and its job, which the import's daemons may do.
pub(super) async fn queue(
    tx: &Tx,
    workspace: &workspace::Model,
    new: NewBuild,
    import: &provisioner_job::Model,
    previous: Option<&workspace_build::Model>,
) -> Result<workspace_build::Model> {
    let NewBuild { transition, reason, version_id, initiator_id } = new;
    let id = BuildId::new();
    let job = NewJob {
        id: JobId::new(),
        organization_id: workspace.organization_id,
        initiator_id,
        input: Input::Build(id),
        engine: import.engine,
        tags: import.tags.clone(),
        automatic: false,
        file_id: import.file_id,
    };
    let job = store::provisioner_job::insert(tx, job).await?;
    let build = workspace_build::Model {
        id,
        workspace_id: workspace.id,
        build_number: previous.map_or(0, |build| build.build_number) + 1,
        template_version_id: version_id,
        job_id: job.id,
        initiator_id,
        transition,
        reason,
        state_sha256: previous.and_then(|build| build.state_sha256.clone()),
        state_lineage: previous.map(|build| build.state_lineage.clone()).unwrap_or_default(),
        state_serial: previous.map_or(0, |build| build.state_serial),
        daily_cost: 0,
        created_at: job.created_at,
        updated_at: job.created_at,
    };
    store::workspace_build::insert(tx, &build).await?;
    Ok(build)
}

fn distinct<T: Ord>(ids: impl Iterator<Item = T>) -> Vec<T> {
    ids.collect::<std::collections::BTreeSet<T>>().into_iter().collect()
}

fn validate(request: &BuildRequest) -> Result<(Transition, Option<TemplateVersionId>)> {
    let mut violations = Violations::default();
    if request.transition.is_none() {
        violations.add("transition", "must be `start`, `stop` or `delete`");
    }
    let version = TemplateVersionId::parse(&request.template_version_id);
    if version.is_none() && !request.template_version_id.is_empty() {
        violations.add("template_version_id", "must be a UUID");
    }
    no_parameters(&request.parameters, &mut violations);
    if request.reason.is_some_and(|reason| !REASONS.contains(&reason)) {
        violations.add("reason", "must be one that people have, not one of a schedule");
    }
    for field in &request.unsupported {
        violations.add(*field, "must be unset: this server doesn't support it yet");
    }
    violations.finish()?;
    let transition = request.transition.ok_or_else(|| Error::invalid("transition", "must be given"))?;
    Ok((transition, version))
}

/// Templates have no parameters yet, so that no value can be for one.
pub(super) fn no_parameters(names: &[String], violations: &mut Violations) {
    for name in names {
        violations.add("rich_parameter_values", format!("the template version has no parameter named {name:?}"));
    }
}

#[cfg(test)]
mod tests;

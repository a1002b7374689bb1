//! Queueing builds.

use crate::domain::audit::{AuditAction, AuditResource};
use crate::domain::error::Kind;
use crate::domain::id::{BuildId, JobId, TemplateVersionId, UserId, WorkspaceId};
use crate::domain::job::{Input, StateReference, Status as JobStatus};
use crate::domain::permission::{Action, Object, Resource, authorize};
use crate::domain::rule::Violations;
use crate::domain::terraform_state::{GivenState, State};
use crate::domain::workspace::{BuildReason, Transition};
use crate::domain::{Error, Result};
use crate::service::audit::Attempt;
use crate::service::workspace_build::{BuildView, tell_of};
use crate::service::{Caller, Service};
use crate::store;
use crate::store::Tx;
use crate::store::entity::{provisioner_job, template_version, workspace, workspace_build};
use crate::store::provisioner_job::NewJob;

/// What the log of a build says that drops its workspace.
const ORPHANED: &str = "The workspace is dropped without running the template: what its resources are, they stay.";

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
    /// Drop the workspace and leave its resources where they are.
    pub orphan: bool,
    /// The state to start from, instead of the previous build's.
    pub state: Option<GivenState>,
    pub log_level: String,
    /// Members that ask for what this server doesn't do yet.
    pub unsupported: Vec<&'static str>,
}

/// A build to be.
pub(crate) struct NewBuild {
    pub(crate) transition: Transition,
    pub(crate) reason: BuildReason,
    pub(crate) version_id: TemplateVersionId,
    pub(crate) initiator_id: UserId,
    /// What it starts from.
    pub(crate) state: Option<StateReference>,
}

impl Service {
    /// Queues a build.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::NotFound`], [`Error::Denied`], [`Error::BuildActive`], [`Error::WorkspaceHeld`],
    /// [`Error::WorkspaceDeleted`], [`Error::ImportUnfinished`].
    pub async fn build_create(&self, caller: &Caller, request: BuildRequest) -> Result<BuildView> {
        let action = match request.transition {
            Some(Transition::Start) => AuditAction::Start,
            Some(Transition::Stop) => AuditAction::Stop,
            Some(Transition::Delete) => AuditAction::Delete,
            None => AuditAction::Write,
        };
        let mut attempt = self.attempt(caller, action, AuditResource::WorkspaceBuild);
        let result = self.build_create_attempt(caller, request, &mut attempt).await;
        attempt.end(result).await
    }

    async fn build_create_attempt(
        &self,
        caller: &Caller,
        request: BuildRequest,
        attempt: &mut Attempt<'_>,
    ) -> Result<BuildView> {
        let subject = caller.user()?;
        let workspace = self.workspace_find(subject, &request.workspace).await?;
        attempt.of(workspace.organization_id).named(&workspace.name);
        let Valid { transition, version_id, state } = validate(&request)?;
        let action = match transition {
            Transition::Start => Action::Start,
            Transition::Stop => Action::Stop,
            Transition::Delete => Action::Delete,
        };
        authorize(subject, action, &Object::workspace(workspace.organization_id, workspace.owner_id), Kind::Workspace)?;
        if request.orphan || state.is_some() {
            let template = Object::of(Resource::Template, workspace.organization_id);
            authorize(subject, Action::Update, &template, Kind::Workspace)?;
        }

        let owner = self.owner_name(&workspace).await?;
        let tx = self.store.begin().await?;
        store::workspace::lock(&tx, workspace.id).await?;
        let job = store::provisioner_job::find(&tx, latest(&tx, workspace.id).await?.job_id).await?;
        let job = job.ok_or_else(|| Error::internal("a build without its job"))?;
        if job.status.is_active() {
            return Err(self.why_active(&tx, job).await?);
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
        let state = match state {
            Some((state, bytes)) => {
                store::blob::insert(&tx, bytes).await?;
                Some(state)
            }
            None if request.orphan => None,
            None => previous.state(),
        };
        let build = NewBuild {
            transition,
            reason: request.reason.unwrap_or(BuildReason::Initiator),
            version_id: version.id,
            initiator_id: subject.user_id,
            state,
        };
        let number = previous.build_number + 1;
        let build = queue(&tx, &workspace, number, build, &import).await?;
        if request.orphan {
            store::job_queue::waive(&tx, build.job_id, ORPHANED).await?;
        }
        tell_of(attempt, &build, &workspace, &owner);
        attempt.change(None, Some(&build)).commit(tx).await?;
        self.dispatcher.announce();
        Ok(self.build_view(build).await?.into_created())
    }
}

impl Service {
    /// Why a build has to wait for this job's end: it may be changing things, and nobody hears of it.
    async fn why_active(&self, tx: &Tx, job: provisioner_job::Model) -> Result<Error> {
        let silent_since = job.silent_since((&self.provisioners).into(), store::now(tx).await?);
        let held = silent_since.zip(job.lease_expires_at).filter(|_| job.apply_permitted_at.is_some());
        Ok(match held {
            Some((since, until)) => Error::WorkspaceHeld { job: job.id, worker: job.worker_name, since, until },
            None => Error::BuildActive(Some(job.status)),
        })
    }
}

/// A workspace's newest build; there is one always.
pub(super) async fn latest(db: &impl store::Access, workspace: WorkspaceId) -> Result<workspace_build::Model> {
    let latest = store::workspace_build::latest(db, workspace).await?;
    latest.ok_or_else(|| Error::internal("a workspace without a build"))
}

/// The import of a version that something is to be built from; `field` named the version.
pub(crate) async fn import_of(
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

/// Stores a workspace's build of this number and its job, which the import's daemons may do.
pub(crate) async fn queue(
    tx: &Tx,
    workspace: &workspace::Model,
    number: i32,
    new: NewBuild,
    import: &provisioner_job::Model,
) -> Result<workspace_build::Model> {
    let NewBuild { transition, reason, version_id, initiator_id, state } = new;
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
        build_number: number,
        template_version_id: version_id,
        job_id: job.id,
        initiator_id,
        transition,
        reason,
        state_lineage: state.as_ref().map(|state| state.lineage.clone()).unwrap_or_default(),
        state_serial: state.as_ref().map_or(0, |state| state.serial),
        state_sha256: state.map(|state| state.sha256),
        salvaged_sha256: None,
        salvaged_serial: 0,
        daily_cost: 0,
        created_at: job.created_at,
        updated_at: job.created_at,
    };
    store::workspace_build::insert(tx, &build).await?;
    Ok(build)
}

/// What a valid request asks for.
struct Valid<'a> {
    transition: Transition,
    version_id: Option<TemplateVersionId>,
    /// With its bytes.
    state: Option<(StateReference, &'a [u8])>,
}

fn validate(request: &BuildRequest) -> Result<Valid<'_>> {
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
    if request.orphan && request.transition != Some(Transition::Delete) {
        violations.add("orphan", "must be unset where transition isn't `delete`");
    }
    if request.orphan && request.state.is_some() {
        violations.add("orphan", "must be unset where state is given");
    }
    let state = request.state.as_ref().map(GivenState::read);
    if let Some(Err(rule)) = &state {
        violations.add("state", *rule);
    }
    match request.log_level.as_str() {
        "" => {}
        "debug" => violations.add("log_level", "must be empty: this server has Terraform's debug mode disabled"),
        _ => violations.add("log_level", "must be `debug` or empty"),
    }
    for field in &request.unsupported {
        violations.add(*field, "must be unset: this server doesn't support it yet");
    }
    violations.finish()?;
    let transition = request.transition.ok_or_else(|| Error::invalid("transition", "must be given"))?;
    let state = state.and_then(std::result::Result::ok);
    let state = state.map(|State { lineage, serial, bytes }| {
        (StateReference { lineage, serial, sha256: store::blob::sha256(bytes) }, bytes)
    });
    Ok(Valid { transition, version_id: version, state })
}

/// Templates have no parameters yet, so that no value can be for one.
pub(crate) fn no_parameters(names: &[String], violations: &mut Violations) {
    for name in names {
        violations.add("rich_parameter_values", format!("the template version has no parameter named {name:?}"));
    }
}

//! Builds of workspaces.

use orgplane_proto::provisioner::v1::WorkspaceTransition;
use orgplane_proto::workspace::v1 as pb;

use super::{from_timestamp, job_view, timestamp};
use crate::domain::Timestamp;
use crate::domain::job::ResourceMetadata;
use crate::domain::terraform_state::GivenState;
use crate::domain::workspace::{BuildReason, Status, Transition};
use crate::domain::{Error, Result};
use crate::service::workspace_build::{BuildRequest, BuildView, ResourceView};
use crate::store::entity::{job_resource, job_timing, workspace_build};

/// 0001-01-01T00:00:00Z, which clients send for no time.
const YEAR_1: i64 = -62_135_596_800;

/// A build as the API has it; what this server doesn't do yet reads as off.
pub(crate) fn build(view: BuildView) -> pb::WorkspaceBuild {
    let status = status(view.status());
    let BuildView { build, workspace, owner, initiator, job, version_name, resources } = view;
    let workspace_build::Model {
        id,
        workspace_id,
        build_number,
        template_version_id,
        job_id: _,
        initiator_id,
        transition: own_transition,
        reason: own_reason,
        state_sha256: _,
        state_lineage: _,
        state_serial: _,
        salvaged_sha256: _,
        salvaged_serial: _,
        daily_cost,
        created_at,
        updated_at,
    } = build;
    let matched_provisioners = job.matched.as_ref().map(job_view::matched);
    pb::WorkspaceBuild {
        id: id.to_string(),
        created_at: Some(timestamp(created_at)),
        updated_at: Some(timestamp(updated_at)),
        workspace_id: workspace_id.to_string(),
        workspace_name: workspace.name,
        workspace_owner_id: workspace.owner_id.to_string(),
        workspace_owner_name: owner.username,
        workspace_owner_avatar_url: owner.avatar_url,
        template_version_id: template_version_id.to_string(),
        template_version_name: version_name,
        build_number,
        transition: transition(own_transition).into(),
        initiator_id: initiator_id.to_string(),
        initiator_name: initiator.username,
        job: Some(job_view::job(job)),
        reason: reason(own_reason).into(),
        resources: resources.into_iter().map(resource).collect(),
        deadline: None,
        max_deadline: None,
        status: status.into(),
        daily_cost,
        matched_provisioners,
        template_version_preset_id: String::new(),
    }
}

/// A resource as the API has it.
pub(crate) fn resource(view: ResourceView) -> pb::WorkspaceResource {
    let ResourceView { resource, metadata } = view;
    let job_resource::Model {
        id,
        job_id,
        transition: own_transition,
        kind,
        name,
        address: _,
        module_path: _,
        hide,
        icon,
        daily_cost,
        metadata: _,
        created_at,
    } = resource;
    let item = |ResourceMetadata { key, value, sensitive }| pb::WorkspaceResourceMetadata { key, value, sensitive };
    pb::WorkspaceResource {
        id: id.to_string(),
        created_at: Some(timestamp(created_at)),
        job_id: job_id.to_string(),
        workspace_transition: transition(own_transition).into(),
        r#type: kind,
        name,
        hide,
        icon,
        metadata: metadata.into_iter().map(item).collect(),
        daily_cost,
    }
}

/// How long steps took, as the API has it.
pub(crate) fn timings(timings: Vec<job_timing::Model>) -> pb::WorkspaceBuildTimings {
    let timing = |timing| {
        let job_timing::Model { job_id, position: _, started_at, ended_at, stage, source, action, resource } = timing;
        pb::ProvisionerTiming {
            job_id: job_id.to_string(),
            started_at: Some(timestamp(started_at)),
            ended_at: Some(timestamp(ended_at)),
            stage,
            source,
            action,
            resource,
        }
    };
    pb::WorkspaceBuildTimings {
        provisioner_timings: timings.into_iter().map(timing).collect(),
        agent_script_timings: Vec::new(),
        agent_connection_timings: Vec::new(),
    }
}

/// What a request to queue one says.
pub(crate) fn build_request(message: pb::CreateWorkspaceBuildRequest) -> Result<BuildRequest> {
    let own_reason = from_reason(message.reason)?;
    let own_transition = from_transition(message.transition)?;
    let pb::CreateWorkspaceBuildRequest {
        workspace,
        transition: _,
        template_version_id,
        rich_parameter_values,
        reason: _,
        dry_run,
        orphan,
        state,
        log_level,
        template_version_preset_id,
    } = message;
    let asked = [("dry_run", dry_run), ("template_version_preset_id", !template_version_preset_id.is_empty())];
    Ok(BuildRequest {
        workspace,
        transition: own_transition,
        template_version_id,
        parameters: rich_parameter_values.into_iter().map(|parameter| parameter.name).collect(),
        reason: own_reason,
        orphan,
        state: state.filter(|state| !state.is_empty()).map(GivenState::from),
        log_level,
        unsupported: asked.into_iter().filter_map(|(field, asked)| asked.then_some(field)).collect(),
    })
}

/// The time that a list starts after; none for the year 1, which clients send for that.
pub(crate) fn since(time: Option<&prost_types::Timestamp>) -> Option<Timestamp> {
    time.filter(|time| time.seconds > YEAR_1).map(from_timestamp)
}

pub(crate) fn transition(transition: Transition) -> WorkspaceTransition {
    match transition {
        Transition::Start => WorkspaceTransition::Start,
        Transition::Stop => WorkspaceTransition::Stop,
        Transition::Delete => WorkspaceTransition::Delete,
    }
}

fn from_transition(number: i32) -> Result<Option<Transition>> {
    match WorkspaceTransition::try_from(number) {
        Ok(WorkspaceTransition::Unspecified) => Ok(None),
        Ok(WorkspaceTransition::Start) => Ok(Some(Transition::Start)),
        Ok(WorkspaceTransition::Stop) => Ok(Some(Transition::Stop)),
        Ok(WorkspaceTransition::Delete) => Ok(Some(Transition::Delete)),
        Err(_) => Err(Error::invalid("transition", "must be `start`, `stop` or `delete`")),
    }
}

fn reason(reason: BuildReason) -> pb::BuildReason {
    match reason {
        BuildReason::Initiator => pb::BuildReason::Initiator,
        BuildReason::Autostart => pb::BuildReason::Autostart,
        BuildReason::Autostop => pb::BuildReason::Autostop,
        BuildReason::Dormancy => pb::BuildReason::Dormancy,
        BuildReason::Dashboard => pb::BuildReason::Dashboard,
        BuildReason::Cli => pb::BuildReason::Cli,
        BuildReason::SshConnection => pb::BuildReason::SshConnection,
        BuildReason::VscodeConnection => pb::BuildReason::VscodeConnection,
        BuildReason::JetbrainsConnection => pb::BuildReason::JetbrainsConnection,
        BuildReason::TaskManualPause => pb::BuildReason::TaskManualPause,
    }
}

fn from_reason(number: i32) -> Result<Option<BuildReason>> {
    let reason = pb::BuildReason::try_from(number).map_err(|_| Error::invalid("reason", "must be a known one"))?;
    Ok(match reason {
        pb::BuildReason::Unspecified => None,
        pb::BuildReason::Initiator => Some(BuildReason::Initiator),
        pb::BuildReason::Autostart => Some(BuildReason::Autostart),
        pb::BuildReason::Autostop => Some(BuildReason::Autostop),
        pb::BuildReason::Dormancy => Some(BuildReason::Dormancy),
        pb::BuildReason::Dashboard => Some(BuildReason::Dashboard),
        pb::BuildReason::Cli => Some(BuildReason::Cli),
        pb::BuildReason::SshConnection => Some(BuildReason::SshConnection),
        pb::BuildReason::VscodeConnection => Some(BuildReason::VscodeConnection),
        pb::BuildReason::JetbrainsConnection => Some(BuildReason::JetbrainsConnection),
        pb::BuildReason::TaskManualPause => Some(BuildReason::TaskManualPause),
    })
}

fn status(status: Status) -> pb::WorkspaceStatus {
    match status {
        Status::Pending => pb::WorkspaceStatus::Pending,
        Status::Starting => pb::WorkspaceStatus::Starting,
        Status::Running => pb::WorkspaceStatus::Running,
        Status::Stopping => pb::WorkspaceStatus::Stopping,
        Status::Stopped => pb::WorkspaceStatus::Stopped,
        Status::Failed => pb::WorkspaceStatus::Failed,
        Status::Canceling => pb::WorkspaceStatus::Canceling,
        Status::Canceled => pb::WorkspaceStatus::Canceled,
        Status::Deleting => pb::WorkspaceStatus::Deleting,
        Status::Deleted => pb::WorkspaceStatus::Deleted,
    }
}

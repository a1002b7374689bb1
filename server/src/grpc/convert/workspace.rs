//! Workspaces.

use orgplane_proto::workspace::v1 as pb;

use super::{timestamp, workspace_build};
use crate::service::workspace::{NewWorkspace, WorkspaceView};
use crate::store::entity::workspace;

/// A workspace as the API has it; what this server doesn't do yet reads as off.
pub(crate) fn workspace(view: WorkspaceView) -> pb::Workspace {
    let WorkspaceView { workspace, owner, organization, template, latest_build } = view;
    let workspace::Model {
        id,
        organization_id,
        owner_id,
        template_id,
        name,
        deleted: _,
        last_used_at,
        created_at,
        updated_at,
    } = workspace;
    pb::Workspace {
        id: id.to_string(),
        created_at: Some(timestamp(created_at)),
        updated_at: Some(timestamp(updated_at)),
        owner_id: owner_id.to_string(),
        owner_name: owner.username,
        owner_avatar_url: owner.avatar_url,
        organization_id: organization_id.to_string(),
        organization_name: organization.name,
        template_id: template_id.to_string(),
        template_name: template.name,
        template_display_name: template.display_name,
        template_icon: template.icon,
        template_allow_user_cancel_workspace_jobs: template.allow_user_cancel_workspace_jobs,
        template_active_version_id: template.active_version_id.to_string(),
        template_require_active_version: false,
        template_use_classic_parameter_flow: true,
        outdated: latest_build.build.template_version_id != template.active_version_id,
        latest_build: Some(workspace_build::build(latest_build)),
        name,
        last_used_at: last_used_at.map(timestamp),
        deleting_at: None,
        dormant_at: None,
        health: Some(pb::WorkspaceHealth { healthy: true, failing_agents: Vec::new() }),
        automatic_updates: "never".to_owned(),
        allow_renames: false,
        favorite: false,
        next_start_at: None,
        is_prebuild: false,
        task_id: String::new(),
        ttl_ms: None,
        autostart_schedule: String::new(),
    }
}

/// What a request to make one says.
pub(crate) fn new_workspace(message: pb::CreateWorkspaceRequest) -> NewWorkspace {
    let pb::CreateWorkspaceRequest {
        user,
        organization,
        template_id,
        template_version_id,
        name,
        rich_parameter_values,
        autostart_schedule,
        ttl_ms,
        automatic_updates,
    } = message;
    NewWorkspace {
        user,
        organization,
        template_id,
        template_version_id,
        name,
        parameters: rich_parameter_values.into_iter().map(|parameter| parameter.name).collect(),
        autostart_schedule,
        ttl_ms: ttl_ms.unwrap_or_default(),
        automatic_updates,
    }
}

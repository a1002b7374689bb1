//! Templates.

use std::collections::BTreeMap;

use orgplane_proto::template::v1 as pb;

use super::timestamp;
use crate::service::template::{NewTemplate, TemplateView};
use crate::store::entity::template;

/// A template as the API has it; what this server doesn't do yet reads as off.
pub(crate) fn template(view: TemplateView) -> pb::Template {
    let TemplateView { template, organization, created_by } = view;
    let template::Model {
        id,
        organization_id,
        name,
        display_name,
        description,
        icon,
        engine,
        active_version_id,
        allow_user_cancel_workspace_jobs,
        created_by: created_by_id,
        deleted,
        created_at,
        updated_at,
    } = template;
    pb::Template {
        id: id.to_string(),
        created_at: Some(timestamp(created_at)),
        updated_at: Some(timestamp(updated_at)),
        organization_id: organization_id.to_string(),
        organization_name: organization.name,
        organization_display_name: organization.display_name,
        organization_icon: organization.icon,
        name,
        display_name,
        provisioner: engine.text().to_owned(),
        active_version_id: active_version_id.to_string(),
        active_user_count: -1,
        build_time_stats: uncounted_times(),
        description,
        deprecated: false,
        deprecation_message: String::new(),
        deleted,
        icon,
        default_ttl_ms: 0,
        activity_bump_ms: 0,
        time_til_autostop_notify_ms: 0,
        autostop_requirement: Some(pb::AutostopRequirement { days_of_week: Vec::new(), weeks: 1 }),
        autostart_requirement: Some(pb::AutostartRequirement { days_of_week: Vec::new() }),
        created_by_id: created_by_id.to_string(),
        created_by_name: created_by.username,
        allow_user_autostart: false,
        allow_user_autostop: false,
        allow_user_cancel_workspace_jobs,
        failure_ttl_ms: 0,
        time_til_dormant_ms: 0,
        time_til_dormant_autodelete_ms: 0,
        require_active_version: false,
        max_port_share_level: "owner".to_owned(),
        cors_behavior: "simple".to_owned(),
        use_classic_parameter_flow: true,
        disable_module_cache: false,
    }
}

fn uncounted_times() -> BTreeMap<String, pb::TransitionStats> {
    let uncounted = |name: &str| (name.to_owned(), pb::TransitionStats { p50: None, p95: None });
    ["start", "stop", "delete"].map(uncounted).into()
}

/// What a request to make one says.
pub(crate) fn new_template(message: pb::CreateTemplateRequest) -> NewTemplate {
    let pb::CreateTemplateRequest {
        organization,
        name,
        display_name,
        description,
        icon,
        template_version_id,
        allow_user_cancel_workspace_jobs,
        default_ttl_ms,
        failure_ttl_ms,
        dormant_ttl_ms,
        delete_ttl_ms,
        require_active_version,
        disable_everyone_group_access,
    } = message;
    let asked = [
        ("default_ttl_ms", default_ttl_ms.is_some_and(|ms| ms != 0)),
        ("failure_ttl_ms", failure_ttl_ms.is_some_and(|ms| ms != 0)),
        ("dormant_ttl_ms", dormant_ttl_ms.is_some_and(|ms| ms != 0)),
        ("delete_ttl_ms", delete_ttl_ms.is_some_and(|ms| ms != 0)),
        ("require_active_version", require_active_version.unwrap_or_default()),
        ("disable_everyone_group_access", disable_everyone_group_access.unwrap_or_default()),
    ];
    NewTemplate {
        organization,
        name,
        display_name,
        description,
        icon,
        template_version_id,
        allow_user_cancel_workspace_jobs: allow_user_cancel_workspace_jobs.unwrap_or_default(),
        unsupported: asked.into_iter().filter_map(|(field, asked)| asked.then_some(field)).collect(),
    }
}

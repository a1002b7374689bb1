//! Daemons.

use orgplane_proto::provisioner::v1 as pb;

use super::{job_view, timestamp};
use crate::service::provisioner_daemon::{DaemonJob, DaemonQuery, DaemonStatus, DaemonView};
use crate::store::entity::provisioner_daemon;

/// Which daemons a request is about.
pub(crate) fn query(request: pb::ListProvisionerDaemonsRequest) -> DaemonQuery {
    let statuses = request.status().filter_map(|status| match status {
        pb::DaemonStatus::Unspecified => None,
        pb::DaemonStatus::Offline => Some(DaemonStatus::Offline),
        pb::DaemonStatus::Idle => Some(DaemonStatus::Idle),
        pb::DaemonStatus::Busy => Some(DaemonStatus::Busy),
    });
    let statuses = statuses.collect();
    let pb::ListProvisionerDaemonsRequest { organization, limit, ids, status: _, offline, tags, max_age } = request;
    DaemonQuery { organization, limit, ids, statuses, offline, tags: tags.into_iter().collect(), max_age }
}

/// A daemon as the API has it.
pub(crate) fn daemon(view: DaemonView) -> pb::ProvisionerDaemon {
    let DaemonView { daemon, key_name, status, current, previous } = view;
    let provisioner_daemon::Model {
        id,
        organization_id,
        key_id,
        name,
        instance_id: _,
        version,
        protocol_version,
        engines,
        tags,
        capacity: _,
        last_seen_at,
        registered_at: _,
        left_at: _,
        created_at,
    } = daemon;
    let status = match status {
        DaemonStatus::Offline => pb::DaemonStatus::Offline,
        DaemonStatus::Idle => pb::DaemonStatus::Idle,
        DaemonStatus::Busy => pb::DaemonStatus::Busy,
    };
    pb::ProvisionerDaemon {
        id: id.to_string(),
        organization_id: organization_id.to_string(),
        key_id: key_id.to_string(),
        created_at: Some(timestamp(created_at)),
        last_seen_at: last_seen_at.map(timestamp),
        name,
        version,
        api_version: protocol_version,
        provisioners: engines.0.iter().map(|engine| engine.text().to_owned()).collect(),
        tags: tags.as_map().clone().into_iter().collect(),
        key_name,
        status: status.into(),
        current_job: current.map(job),
        previous_job: previous.map(job),
    }
}

fn job(job: DaemonJob) -> pb::ProvisionerDaemonJob {
    let DaemonJob { job, names } = job;
    let (template_name, template_icon, template_display_name) =
        names.map(|names| (names.template_name, names.template_icon, names.template_display_name)).unwrap_or_default();
    pb::ProvisionerDaemonJob {
        id: job.id.to_string(),
        status: job_view::status(job.status).into(),
        template_name: template_name.unwrap_or_default(),
        template_icon: template_icon.unwrap_or_default(),
        template_display_name: template_display_name.unwrap_or_default(),
    }
}

//! `orgplane provisioner list`.

use anyhow::{Context as _, Result};
use orgplane_proto::json::JsonEnum as _;
use orgplane_proto::provisioner::v1::{
    DaemonStatus, JobStatus, ListProvisionerDaemonsRequest, ProvisionerDaemon, ProvisionerDaemonJob,
};

use crate::args::{DaemonColumn as Column, DaemonState, List};
use crate::client::Client;
use crate::output;

pub(crate) async fn run(args: List) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let organization = client.organization(&args.organization).await?;
    let request = ListProvisionerDaemonsRequest {
        organization: organization.id,
        limit: args.limit,
        status: args.status.into_iter().map(|state| status(state) as i32).collect(),
        offline: args.show_offline,
        max_age: args.max_age.map(|age| format!("{}s", age.as_secs_f64())).unwrap_or_default(),
        ..ListProvisionerDaemonsRequest::default()
    };
    let reply = client.provisioner_daemons().list_provisioner_daemons(request).await;
    let daemons = reply.context("can't list provisioner daemons")?.into_inner().daemons;
    let none = if args.show_offline {
        "The organization has no provisioner daemons; start one with `orgplane provisioner start`."
    } else {
        "No provisioner daemon of the organization is connected; start one with `orgplane provisioner start`, or see those \
         that are away with --show-offline."
    };
    let of = organization.name;
    output::list(args.output.output, &daemons, &args.columns, |daemon, c| cell(daemon, c, &of), none)
}

fn cell(daemon: &ProvisionerDaemon, column: &Column, organization: &str) -> String {
    let job = |job: &Option<ProvisionerDaemonJob>, text: fn(&ProvisionerDaemonJob) -> &str| {
        job.as_ref().map_or("", text).to_owned()
    };
    let current = |text| job(&daemon.current_job, text);
    let previous = |text| job(&daemon.previous_job, text);
    match column {
        Column::Id => daemon.id.clone(),
        Column::OrganizationId => daemon.organization_id.clone(),
        Column::CreatedAt => output::time(daemon.created_at.as_ref()),
        Column::LastSeenAt => output::time(daemon.last_seen_at.as_ref()),
        Column::KeyName => daemon.key_name.clone(),
        Column::Name => daemon.name.clone(),
        Column::Version => daemon.version.clone(),
        Column::ApiVersion => daemon.api_version.clone(),
        Column::Status => DaemonStatus::text_of(daemon.status).to_owned(),
        Column::CurrentJobId => current(|job| &job.id),
        Column::CurrentJobStatus => current(|job| JobStatus::text_of(job.status)),
        Column::CurrentJobTemplateName => current(|job| &job.template_name),
        Column::CurrentJobTemplateIcon => current(|job| &job.template_icon),
        Column::CurrentJobTemplateDisplayName => current(|job| &job.template_display_name),
        Column::PreviousJobId => previous(|job| &job.id),
        Column::PreviousJobStatus => previous(|job| JobStatus::text_of(job.status)),
        Column::PreviousJobTemplateName => previous(|job| &job.template_name),
        Column::PreviousJobTemplateIcon => previous(|job| &job.template_icon),
        Column::PreviousJobTemplateDisplayName => previous(|job| &job.template_display_name),
        Column::Tags => output::tags(&daemon.tags),
        Column::Organization => organization.to_owned(),
    }
}

fn status(state: DaemonState) -> DaemonStatus {
    match state {
        DaemonState::Offline => DaemonStatus::Offline,
        DaemonState::Idle => DaemonStatus::Idle,
        DaemonState::Busy => DaemonStatus::Busy,
    }
}

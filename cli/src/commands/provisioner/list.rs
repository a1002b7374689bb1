//! `orgplane provisioner list`.

use anyhow::{Context as _, Result};
use orgplane_proto::json::JsonEnum as _;
use orgplane_proto::provisioner::v1::{DaemonStatus, ListProvisionerDaemonsRequest};

use crate::args::{DaemonState, List};
use crate::client::Client;
use crate::output;

pub(crate) async fn run(args: List) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let request = ListProvisionerDaemonsRequest {
        organization: client.organization(&args.organization).await?,
        limit: args.limit,
        status: args.status.into_iter().map(|state| status(state) as i32).collect(),
        offline: args.show_offline,
        max_age: args.max_age.map(|age| format!("{}s", age.as_secs_f64())).unwrap_or_default(),
        ..ListProvisionerDaemonsRequest::default()
    };
    let reply = client.provisioner_daemons().list_provisioner_daemons(request).await;
    let daemons = reply.context("can't list provisioner daemons")?.into_inner().daemons;
    output::list(
        args.output.output,
        &daemons,
        &["created at", "last seen at", "key name", "name", "version", "status", "tags"],
        |daemon| {
            vec![
                output::time(daemon.created_at.as_ref()),
                output::time(daemon.last_seen_at.as_ref()),
                daemon.key_name.clone(),
                daemon.name.clone(),
                daemon.version.clone(),
                DaemonStatus::text_of(daemon.status).to_owned(),
                output::tags(&daemon.tags),
            ]
        },
        "The organization has no provisioner daemons; start one with `orgplane provisioner start`.",
    )
}

fn status(state: DaemonState) -> DaemonStatus {
    match state {
        DaemonState::Offline => DaemonStatus::Offline,
        DaemonState::Idle => DaemonStatus::Idle,
        DaemonState::Busy => DaemonStatus::Busy,
    }
}

//! `orgplane show`.

use anyhow::Result;
use orgplane_proto::json::JsonEnum as _;
use orgplane_proto::workspace::v1::{WorkspaceResource, WorkspaceStatus};

use crate::args::ShowWorkspace;
use crate::client::Client;
use crate::output::{self, Format};

pub(crate) async fn run(args: ShowWorkspace) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let workspace = super::find(&client, &args.workspace.workspace).await?;
    if args.output.output == Format::Json {
        return output::json(&workspace);
    }
    let build = workspace.latest_build.unwrap_or_default();
    let job = build.job.as_ref();
    output::record(&[
        ("Workspace", format!("{}/{}", workspace.owner_name, workspace.name)),
        ("Id", workspace.id),
        ("Organization", workspace.organization_name),
        ("Template", workspace.template_name),
        ("Version", build.template_version_name.clone()),
        ("Outdated", if workspace.outdated { "yes".to_owned() } else { String::new() }),
        ("Status", WorkspaceStatus::text_of(build.status).to_owned()),
        ("Error", job.map(|job| job.error.clone()).unwrap_or_default()),
        ("Build", build.build_number.to_string()),
        ("Built at", output::time(build.created_at.as_ref())),
        ("Built by", build.initiator_name.clone()),
        ("Daemon", job.map(|job| job.worker_name.clone()).unwrap_or_default()),
    ])?;
    resources(build.resources).map_or(Ok(()), |table| output::line(&format!("\n{table}")))
}

/// A table of resources, if there are any to be seen.
pub(super) fn resources(resources: Vec<WorkspaceResource>) -> Option<String> {
    let rows: Vec<_> = resources
        .into_iter()
        .filter(|resource| !resource.hide)
        .map(|resource| {
            let facts = resource.metadata.into_iter().map(|fact| match fact.sensitive {
                true => format!("{}=(sensitive)", fact.key),
                false => format!("{}={}", fact.key, fact.value),
            });
            vec![format!("{}.{}", resource.r#type, resource.name), facts.collect::<Vec<_>>().join(" ")]
        })
        .collect();
    (!rows.is_empty()).then(|| output::table(&["resource", "facts"], rows.into_iter()))
}

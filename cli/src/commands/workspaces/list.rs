//! `orgplane list`.

use anyhow::{Context as _, Result};
use orgplane_proto::json::JsonEnum as _;
use orgplane_proto::workspace::v1::{ListWorkspacesRequest, Workspace, WorkspaceStatus};

use crate::args::{ListWorkspaces, WorkspaceColumn as Column};
use crate::client::Client;
use crate::output;

pub(crate) async fn run(args: ListWorkspaces) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let own = if args.all { String::new() } else { "owner:me".to_owned() };
    let request = ListWorkspacesRequest { q: args.search.unwrap_or(own), ..ListWorkspacesRequest::default() };
    let reply = client.workspaces().list_workspaces(request).await;
    let workspaces = reply.context("can't list workspaces")?.into_inner().workspaces;
    let none = "No workspaces; create one with `orgplane create`, or see everybody's with --all.";
    output::list(args.output.output, &workspaces, &args.columns, cell, none)
}

fn cell(workspace: &Workspace, column: &Column) -> String {
    let build = workspace.latest_build.as_ref();
    match column {
        Column::Workspace => format!("{}/{}", workspace.owner_name, workspace.name),
        Column::Id => workspace.id.clone(),
        Column::OrganizationId => workspace.organization_id.clone(),
        Column::OrganizationName => workspace.organization_name.clone(),
        Column::Template => workspace.template_name.clone(),
        Column::Status => build.map_or("", |build| WorkspaceStatus::text_of(build.status)).to_owned(),
        Column::Healthy => workspace.health.as_ref().map(|health| health.healthy.to_string()).unwrap_or_default(),
        Column::LastBuilt => build.map(|build| output::time(build.created_at.as_ref())).unwrap_or_default(),
        Column::CurrentVersion => build.map(|build| build.template_version_name.clone()).unwrap_or_default(),
        Column::Outdated => workspace.outdated.to_string(),
        Column::DailyCost => build.map(|build| build.daily_cost.to_string()).unwrap_or_default(),
        Column::CreatedAt => output::time(workspace.created_at.as_ref()),
    }
}

//! `orgplane list`.

use anyhow::{Context as _, Result};
use orgplane_proto::json::JsonEnum as _;
use orgplane_proto::workspace::v1::{ListWorkspacesRequest, Workspace, WorkspaceStatus};

use crate::args::{ListWorkspaces, WorkspaceColumn as Column};
use crate::client::{Client, PAGE};
use crate::output;

pub(crate) async fn run(args: ListWorkspaces) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let own = if args.all { String::new() } else { "owner:me".to_owned() };
    let mut request = ListWorkspacesRequest { q: args.search.unwrap_or(own), limit: PAGE, offset: 0 };
    let mut workspaces = Vec::new();
    loop {
        let reply = client.workspaces().list_workspaces(request.clone()).await;
        let reply = reply.context("can't list workspaces")?.into_inner();
        let ends = reply.workspaces.is_empty();
        workspaces.extend(reply.workspaces);
        request.offset = i32::try_from(workspaces.len())?;
        if ends || request.offset >= reply.count {
            break;
        }
    }
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

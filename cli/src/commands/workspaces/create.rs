//! `orgplane create`.

use anyhow::{Context as _, Result, bail};
use orgplane_proto::template::v1::{ListTemplatesRequest, Template};
use orgplane_proto::workspace::v1::{CreateWorkspaceRequest, GetWorkspaceByNameRequest, GetWorkspaceRequest};

use crate::args::Create;
use crate::client::Client;
use crate::commands::templates;
use crate::error::Usage;
use crate::output::{self, Format, progress};
use crate::terminal;

pub(crate) async fn run(args: Create) -> Result<()> {
    let (user, name) = super::owner_and_name(&args.name)?;
    let client = Client::signed_in(&args.connection).await?;
    let template = template(&client, &args).await?;
    let version = match &args.template_version {
        Some(name) => templates::versions::named(&client, &template, name).await?.id,
        None => String::new(),
    };
    let request =
        GetWorkspaceByNameRequest { user: user.clone(), workspace_name: name.clone(), include_deleted: false };
    if client.workspaces().get_workspace_by_name(request).await.is_ok() {
        bail!("choose another name: the name {name} is already in use");
    }
    let planned = if version.is_empty() { &template.active_version_id } else { &version };
    super::plan::run(&client, planned, &name, args.wait.verbose).await?;
    let (of, from) = (&template.organization_name, &template.name);
    let question = format!("Create the workspace {name} from the template {from} of {of}?");
    terminal::agree(&args.yes, &question, "not created").await?;
    let waiting = super::build::waiting(&format!("{user}/{name}"), args.wait.verbose);
    progress(&format!("Creating the workspace {name}"));
    let request = CreateWorkspaceRequest {
        user,
        template_id: if version.is_empty() { template.id.clone() } else { String::new() },
        template_version_id: version,
        name,
        ..CreateWorkspaceRequest::default()
    };
    let workspace = client.workspaces().create_workspace(request).await;
    let workspace = workspace.context("can't create the workspace")?.into_inner();
    let shown = format!("{}/{}", workspace.owner_name, workspace.name);
    progress(&format!("Starting the workspace {shown}"));
    let build = workspace.latest_build.context("the server's answer has no build")?;
    super::build::finish(&client, build, waiting).await?;
    progress(&format!("The workspace {shown} is running."));
    match args.output.output {
        Format::Table => output::line(&workspace.id),
        Format::Json => {
            let request = GetWorkspaceRequest { workspace: workspace.id, include_deleted: false };
            let workspace = client.workspaces().get_workspace(request).await;
            output::json(&workspace.context("can't read the workspace")?.into_inner())
        }
    }
}

/// The template that is meant: the only one of that name, or the only one, in the organization if one is named.
async fn template(client: &Client, args: &Create) -> Result<Template> {
    let organization = match args.organization.named() {
        Some(named) => Some(client.organization_named(&named).await?),
        None => None,
    };
    if let (Some(organization), Some(name)) = (&organization, &args.template) {
        return templates::find(client, organization, name).await;
    }
    let organization = organization.map(|organization| organization.id).unwrap_or_default();
    let q = args.template.as_ref().map_or(String::new(), |name| format!("exact_name:\"{}\"", name.replace('"', "")));
    let found = client.templates().list_templates(ListTemplatesRequest { organization, q }).await;
    let mut found = found.context("can't list templates")?.into_inner().templates;
    match (found.pop(), found.as_slice(), &args.template) {
        (Some(only), [], _) => Ok(only),
        (None, _, Some(name)) => {
            let way = "`orgplane templates list` shows them";
            Err(anyhow::anyhow!("check the name: there is no template {name:?} that you may see; {way}"))
        }
        (None, _, None) => Err(anyhow::anyhow!("there is no template yet; upload one with `orgplane templates push`")),
        (Some(last), others, None) => {
            let names = others.iter().chain([&last]).map(|template| template.name.as_str()).collect::<Vec<_>>();
            Err(Usage::new(format!("choose a template with --template: there are {}", names.join(", "))).into())
        }
        (Some(last), others, Some(name)) => {
            let of = others.iter().chain([&last]).map(|template| template.organization_name.as_str());
            let of = of.collect::<Vec<_>>().join(", ");
            Err(Usage::new(format!("choose an organization with --org: the template {name} is in {of}")).into())
        }
    }
}

//! `orgplane templates list`.

use anyhow::{Context as _, Result};
use orgplane_proto::template::v1::{ListTemplatesRequest, Template};

use crate::args::{ListTemplates, TemplateColumn as Column};
use crate::client::Client;
use crate::output;

pub(crate) async fn run(args: ListTemplates) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let organization = match args.organization.named() {
        Some(named) => client.organization_named(&named).await?.id,
        None => String::new(),
    };
    let reply = client.templates().list_templates(ListTemplatesRequest { organization, q: String::new() }).await;
    let templates = reply.context("can't list templates")?.into_inner().templates;
    let none = "There are no templates; upload one with `orgplane templates push`.";
    output::list(args.output.output, &templates, &args.columns, cell, none)
}

fn cell(template: &Template, column: &Column) -> String {
    match column {
        Column::Name => template.name.clone(),
        Column::DisplayName => template.display_name.clone(),
        Column::Id => template.id.clone(),
        Column::OrganizationId => template.organization_id.clone(),
        Column::Organization => template.organization_name.clone(),
        Column::Provisioner => template.provisioner.clone(),
        Column::ActiveVersionId => template.active_version_id.clone(),
        Column::Description => template.description.clone(),
        Column::CreatedBy => template.created_by_name.clone(),
        Column::CreatedAt => output::time(template.created_at.as_ref()),
        Column::LastUpdated => output::time(template.updated_at.as_ref()),
    }
}

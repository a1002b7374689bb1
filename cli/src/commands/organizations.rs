//! `orgplane organizations`.

pub(crate) mod members;
pub(crate) mod roles;

use anyhow::{Context as _, Result};
use orgplane_proto::organization::v1::{
    CreateOrganizationRequest, DeleteOrganizationRequest, ListOrganizationsRequest, Organization,
    UpdateOrganizationRequest,
};

use crate::args::{
    CreateOrganization, DeleteOrganization, EditOrganization, ListOrganizations, OrganizationColumn as Column,
    ShowOrganization,
};
use crate::client::Client;
use crate::error::Usage;
use crate::output::{self, Format, progress};
use crate::terminal;

pub(crate) async fn list(args: ListOrganizations) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let reply = client.organizations().list_organizations(ListOrganizationsRequest {}).await;
    let organizations = reply.context("can't list organizations")?.into_inner().organizations;
    output::list(args.output.output, &organizations, &args.columns, cell, "You can see no organizations.")
}

fn cell(organization: &Organization, column: &Column) -> String {
    match column {
        Column::Name => organization.name.clone(),
        Column::DisplayName => organization.display_name.clone(),
        Column::Id => organization.id.clone(),
        Column::Default if organization.is_default => "default".to_owned(),
        Column::Default => String::new(),
        Column::CreatedAt => output::time(organization.created_at.as_ref()),
        Column::UpdatedAt => output::time(organization.updated_at.as_ref()),
        Column::Description => organization.description.clone(),
        Column::Icon => organization.icon.clone(),
    }
}

pub(crate) async fn show(args: ShowOrganization) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let organizations = match args.which.as_str() {
        "selected" => vec![client.organization(&args.organization).await?],
        "me" => client.own_organizations().await?,
        named => vec![client.organization_named(named).await?],
    };
    if args.only_id {
        return organizations.iter().try_for_each(|organization| output::line(&organization.id));
    }
    if args.output.output == Format::Json {
        return output::json(&organizations);
    }
    if organizations.is_empty() {
        progress("You are a member of no organization.");
    }
    organizations.into_iter().enumerate().try_for_each(|(place, organization)| {
        if place > 0 {
            output::line("")?;
        }
        output::record(&[
            ("Name", organization.name),
            ("Id", organization.id),
            ("Display name", organization.display_name),
            ("Description", organization.description),
            ("Default", if organization.is_default { "yes".to_owned() } else { String::new() }),
            ("Created at", output::time(organization.created_at.as_ref())),
        ])
    })
}

pub(crate) async fn create(args: CreateOrganization) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let CreateOrganization { name, display_name, description, .. } = args;
    let request = CreateOrganizationRequest { name, display_name, description, icon: String::new() };
    let reply = client.organizations().create_organization(request).await;
    let organization = reply.context("can't create the organization")?.into_inner();
    match args.output.output {
        Format::Json => output::json(&organization),
        Format::Table => {
            progress(&format!("Successfully created organization {}!", organization.name));
            output::line(&organization.id)
        }
    }
}

pub(crate) async fn edit(args: EditOrganization) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let EditOrganization { which, name, display_name, description, icon, .. } = args;
    if name.as_deref() == Some("") || display_name.as_deref() == Some("") {
        return Err(Usage::new("--name and --display-name can't be empty").into());
    }
    let organization = client.organization_named(&which).await?.id;
    let request = UpdateOrganizationRequest { organization, name, display_name, description, icon };
    let reply = client.organizations().update_organization(request).await;
    let organization = reply.context("can't change the organization")?.into_inner();
    match args.output.output {
        Format::Json => output::json(&organization),
        Format::Table => {
            progress(&format!("Changed the organization {}.", organization.name));
            output::line(&organization.id)
        }
    }
}

pub(crate) async fn delete(args: DeleteOrganization) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let Organization { id, name, is_default, .. } = client.organization_named(&args.which).await?;
    if is_default {
        anyhow::bail!("the default organization, {name}, can't be deleted");
    }
    terminal::agree(&args.yes, &format!("Delete the organization {name}?"), "not deleted").await?;
    let request = DeleteOrganizationRequest { organization: id };
    client.organizations().delete_organization(request).await.context("can't delete the organization")?;
    progress(&format!("Deleted the organization {name}."));
    Ok(())
}

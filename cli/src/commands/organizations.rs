//! `orgplane organizations`.

use anyhow::{Context as _, Result};
use orgplane_proto::organization::v1::{CreateOrganizationRequest, ListOrganizationsRequest};

use crate::args::Connection;
use crate::client::Client;
use crate::output::{self, Format};

pub(crate) async fn list(connection: &Connection, format: Format) -> Result<()> {
    let client = Client::signed_in(connection).await?;
    let reply = client.organizations().list_organizations(ListOrganizationsRequest {}).await;
    let organizations = reply.context("can't list organizations")?.into_inner().organizations;
    output::list(
        format,
        &organizations,
        &["name", "display name", "id", "default", "created at"],
        |organization| {
            vec![
                organization.name.clone(),
                organization.display_name.clone(),
                organization.id.clone(),
                if organization.is_default { "default".to_owned() } else { String::new() },
                output::time(organization.created_at.as_ref()),
            ]
        },
        "You can see no organizations.",
    )
}

pub(crate) async fn create(
    name: String,
    display_name: String,
    description: String,
    connection: &Connection,
    format: Format,
) -> Result<()> {
    let client = Client::signed_in(connection).await?;
    let request = CreateOrganizationRequest { name, display_name, description, icon: String::new() };
    let reply = client.organizations().create_organization(request).await;
    let organization = reply.context("can't create the organization")?.into_inner();
    match format {
        Format::Json => output::json(&organization),
        Format::Table => {
            output::progress(&format!("Successfully created organization {}!", organization.name));
            output::line(&organization.id)
        }
    }
}

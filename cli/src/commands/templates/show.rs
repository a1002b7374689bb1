//! `orgplane templates show`.

use anyhow::{Context as _, Result};
use orgplane_proto::template::v1::{GetTemplateVersionRequest, ListTemplateVersionVariablesRequest};

use crate::args::ShowTemplate;
use crate::client::Client;
use crate::output::{self, Format};

pub(crate) async fn run(args: ShowTemplate) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let organization = client.organization(&args.organization).await?;
    let template = super::find(&client, &organization, &args.template).await?;
    if args.output.output == Format::Json {
        return output::json(&template);
    }
    let id = template.active_version_id.clone();
    let request = GetTemplateVersionRequest { template_version: id.clone() };
    let version = client.template_versions().get_template_version(request).await;
    let version = version.context("can't read the active version")?.into_inner();
    let request = ListTemplateVersionVariablesRequest { template_version: id };
    // Not known while the import goes on.
    let variables = client.template_versions().list_template_version_variables(request).await;
    let variables = variables.map(|reply| reply.into_inner().variables).unwrap_or_default();
    output::record(&[
        ("Name", template.name),
        ("Display name", template.display_name),
        ("Id", template.id),
        ("Organization", template.organization_name),
        ("Description", template.description),
        ("Provisioner", template.provisioner),
        ("Active version", version.name),
        ("Message", version.message),
        ("Created by", template.created_by_name),
        ("Created at", output::time(template.created_at.as_ref())),
    ])?;
    if variables.is_empty() {
        return Ok(());
    }
    let rows = variables.into_iter().map(|v| {
        let required = if v.required { "yes" } else { "no" };
        vec![v.name, v.r#type, required.to_owned(), v.value, v.description]
    });
    output::line(&format!("\n{}", output::table(&["variable", "type", "required", "value", "description"], rows)))
}

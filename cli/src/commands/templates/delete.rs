//! `orgplane templates delete`.

use anyhow::{Context as _, Result};
use orgplane_proto::template::v1::DeleteTemplateRequest;

use crate::args::DeleteTemplates;
use crate::client::Client;
use crate::output::progress;
use crate::terminal;

pub(crate) async fn run(args: DeleteTemplates) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let organization = client.organization(&args.organization).await?;
    let mut found = Vec::new();
    for name in &args.templates {
        found.push(super::find(&client, &organization, name).await?);
    }
    let names = found.iter().map(|template| template.name.as_str()).collect::<Vec<_>>().join(", ");
    terminal::agree(&args.yes, &format!("Delete {names} with all versions?"), "not deleted").await?;
    for template in found {
        let deleted = client.templates().delete_template(DeleteTemplateRequest { template: template.id }).await;
        deleted.with_context(|| format!("can't delete the template {}", template.name))?;
        progress(&format!("Deleted the template {}.", template.name));
    }
    Ok(())
}

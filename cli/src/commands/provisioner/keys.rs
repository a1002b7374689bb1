//! `orgplane provisioner keys`.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use orgplane_proto::provisioner::v1::{
    CreateProvisionerKeyRequest, DeleteProvisionerKeyRequest, ListProvisionerKeysRequest,
};

use crate::args::{CreateKey, DeleteKey, ListKeys};
use crate::client::Client;
use crate::error::Usage;
use crate::output::{self, Format};
use crate::terminal;

pub(crate) async fn create(args: CreateKey) -> Result<()> {
    let mut tags = BTreeMap::new();
    for (key, value) in args.tags {
        if tags.insert(key.clone(), value).is_some() {
            return Err(Usage::new(format!("--tag: {key} is given twice")).into());
        }
    }
    let client = Client::signed_in(&args.connection).await?;
    let organization = client.organization(&args.organization).await?;
    let name = args.name;
    let request = CreateProvisionerKeyRequest { organization, name: name.clone(), tags };
    let reply = client.provisioner_keys().create_provisioner_key(request).await;
    let created = reply.context("can't create the provisioner key")?.into_inner();
    match args.output.output {
        Format::Json => output::json(&created),
        Format::Table => {
            output::progress(&format!(
                "Successfully created provisioner key {name}! Save this authentication token, it will not be shown again.\n"
            ));
            output::line(&created.key)
        }
    }
}

pub(crate) async fn list(args: ListKeys) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let organization = client.organization(&args.organization).await?;
    let reply = client.provisioner_keys().list_provisioner_keys(ListProvisionerKeysRequest { organization }).await;
    let keys = reply.context("can't list provisioner keys")?.into_inner().provisioner_keys;
    output::list(
        args.output.output,
        &keys,
        &["created at", "name", "tags"],
        |key| vec![output::time(key.created_at.as_ref()), key.name.clone(), output::tags(&key.tags)],
        "The organization has no provisioner keys.",
    )
}

pub(crate) async fn delete(args: DeleteKey) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let organization = client.organization(&args.organization).await?;
    let name = args.name;
    if !args.yes {
        if !terminal::is_interactive() {
            bail!("not deleted: there is no terminal to ask at; add --yes to delete the key without a question");
        }
        let question = format!("Delete the provisioner key {name}? Its daemons lose their connection.");
        if !terminal::confirm(&question)? {
            bail!("not deleted");
        }
    }
    let request = DeleteProvisionerKeyRequest { organization, provisioner_key: name.clone() };
    client.provisioner_keys().delete_provisioner_key(request).await.context("can't delete the provisioner key")?;
    output::progress(&format!("Successfully deleted provisioner key {name}!"));
    Ok(())
}

//! `orgplane provisioner keys`.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use orgplane_proto::provisioner::v1::{
    CreateProvisionerKeyRequest, DeleteProvisionerKeyRequest, ListProvisionerKeysRequest, ProvisionerKey,
};

use crate::args::{CreateKey, DeleteKey, KeyColumn as Column, ListKeys};
use crate::client::Client;
use crate::error::{Usage, not_found};
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
    // Keys are stored under names in lower case.
    let name = args.name.to_lowercase();
    let request = CreateProvisionerKeyRequest { organization: organization.id, name: name.clone(), tags };
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
    let reply = client
        .provisioner_keys()
        .list_provisioner_keys(ListProvisionerKeysRequest { organization: organization.id })
        .await;
    let keys = reply.context("can't list provisioner keys")?.into_inner().provisioner_keys;
    let cell = |key: &ProvisionerKey, column: &Column| match column {
        Column::CreatedAt => output::time(key.created_at.as_ref()),
        Column::Name => key.name.clone(),
        Column::Tags => output::tags(&key.tags),
    };
    output::list(args.output.output, &keys, &args.columns, cell, "The organization has no provisioner keys.")
}

pub(crate) async fn delete(args: DeleteKey) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let organization = client.organization(&args.organization).await?;
    let name = args.name;
    let question = format!("Delete the provisioner key {name}? Its daemons lose their connection.");
    terminal::agree(&args.yes, &question, "not deleted").await?;
    let request = DeleteProvisionerKeyRequest { organization: organization.id, provisioner_key: name.clone() };
    let deleted = client.provisioner_keys().delete_provisioner_key(request).await;
    let of = organization.name;
    let sentence = || {
        format!(
            "check the name: there is no provisioner key {name:?} in {of}; `orgplane provisioner keys list --org {of}` \
             shows them"
        )
    };
    deleted.map_err(|status| not_found(status, sentence))?;
    output::progress(&format!("Successfully deleted provisioner key {name}!"));
    Ok(())
}

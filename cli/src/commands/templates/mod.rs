//! `orgplane templates`.

pub(crate) mod delete;
pub(crate) mod list;
pub(crate) mod push;
pub(crate) mod show;
mod variables;
pub(crate) mod versions;

use anyhow::Result;
use orgplane_proto::organization::v1::Organization;
use orgplane_proto::template::v1::{GetTemplateByNameRequest, Template};
use tonic::Code;

use crate::client::Client;
use crate::error::not_found;

/// A template by its name.
pub(crate) async fn find(client: &Client, organization: &Organization, name: &str) -> Result<Template> {
    let Organization { name: of, .. } = organization;
    let sentence = || {
        format!(
            "check the name: there is no template {name:?} in the organization {of:?}; `orgplane templates list --org {of}` \
             shows them"
        )
    };
    let found = client.templates().get_template_by_name(by_name(organization, name)).await;
    Ok(found.map_err(|status| not_found(status, sentence))?.into_inner())
}

/// The same where it may not exist yet.
async fn find_any(client: &Client, organization: &Organization, name: &str) -> Result<Option<Template>> {
    match client.templates().get_template_by_name(by_name(organization, name)).await {
        Ok(found) => Ok(Some(found.into_inner())),
        Err(status) if status.code() == Code::NotFound => Ok(None),
        Err(status) => Err(status.into()),
    }
}

fn by_name(organization: &Organization, name: &str) -> GetTemplateByNameRequest {
    GetTemplateByNameRequest { organization: organization.id.clone(), template_name: name.to_owned() }
}

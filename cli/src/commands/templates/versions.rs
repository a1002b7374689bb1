//! `orgplane templates versions`.

use anyhow::{Context as _, Result, anyhow};
use orgplane_proto::json::JsonEnum as _;
use orgplane_proto::provisioner::v1::JobStatus;
use orgplane_proto::template::v1::{
    ListTemplateVersionsRequest, Template, TemplateVersion, UpdateActiveTemplateVersionRequest,
};

use crate::args::{ListVersions, PromoteVersion, VersionColumn as Column};
use crate::client::{Client, PAGE};
use crate::output::{self, progress};

pub(crate) async fn list(args: ListVersions) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let organization = client.organization(&args.organization).await?;
    let template = super::find(&client, &organization, &args.template).await?;
    let versions = all(&client, &template).await?;
    let cell = |version: &TemplateVersion, column: &Column| match column {
        Column::Name => version.name.clone(),
        Column::CreatedAt => output::time(version.created_at.as_ref()),
        Column::CreatedBy => version.created_by.as_ref().map(|user| user.username.clone()).unwrap_or_default(),
        Column::Status => version.job.as_ref().map_or("", |job| JobStatus::text_of(job.status)).to_owned(),
        Column::Active if version.id == template.active_version_id => "active".to_owned(),
        Column::Active => String::new(),
        Column::Id => version.id.clone(),
        Column::Message => version.message.clone(),
    };
    output::list(args.output.output, &versions, &args.columns, cell, "The template has no versions.")
}

pub(crate) async fn promote(args: PromoteVersion) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let organization = client.organization(&args.organization).await?;
    let template = super::find(&client, &organization, &args.template).await?;
    let version = named(&client, &template, &args.template_version).await?;
    let request = UpdateActiveTemplateVersionRequest { template: template.id, id: version.id };
    let activated = client.templates().update_active_template_version(request).await;
    activated.context("can't make the version the active one")?;
    progress(&format!("The version {} of {} is the active one now.", version.name, template.name));
    Ok(())
}

/// A template's version by its name.
pub(crate) async fn named(client: &Client, template: &Template, name: &str) -> Result<TemplateVersion> {
    let version = all(client, template).await?.into_iter().find(|version| version.name.eq_ignore_ascii_case(name));
    version.ok_or_else(|| {
        let of = &template.name;
        anyhow!("check the name: {of} has no version {name:?}; `orgplane templates versions list {of}` shows them")
    })
}

async fn all(client: &Client, template: &Template) -> Result<Vec<TemplateVersion>> {
    let mut request = ListTemplateVersionsRequest { template: template.id.clone(), limit: PAGE, ..Default::default() };
    let mut versions: Vec<TemplateVersion> = Vec::new();
    loop {
        let page = client.template_versions().list_template_versions(request.clone()).await;
        let page = page.context("can't list the template's versions")?.into_inner().versions;
        let Some(last) = page.last() else { return Ok(versions) };
        request.after_id = last.id.clone();
        versions.extend(page);
    }
}

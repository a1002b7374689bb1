//! `orgplane templates push`.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use orgplane_proto::organization::v1::Organization;
use orgplane_proto::template::v1::{
    CreateTemplateRequest, CreateTemplateVersionRequest, GetTemplateVersionRequest, Template, TemplateVersion,
    UpdateActiveTemplateVersionRequest,
};

use super::{find_any, variables};
use crate::archive::{self, Archive};
use crate::args::{Engine, Push};
use crate::client::Client;
use crate::error::Usage;
use crate::job::{self, Job, Waiting};
use crate::output::{self, Format, progress};
use crate::printable::printable_line;
use crate::terminal;
use crate::upload::upload;

pub(crate) async fn run(args: Push) -> Result<()> {
    let mut values = variables::given(args.variables.clone(), args.variables_file.as_deref())?;
    let archive = archive::pack(&args.directory)?;
    let name = template_name(&args)?;
    let client = Client::signed_in(&args.connection).await?;
    let organization = client.organization(&args.organization).await?;
    let existing = find_any(&client, &organization, &name).await?;
    let Archive { files, bytes } = &archive;
    let size = archive::size(bytes.len());
    let of = &organization.name;
    let what = if existing.is_some() { "the next version of the template" } else { "the new template" };
    let question = format!("Upload {files} files ({size}) as {what} {name} of {of}?");
    terminal::agree(&args.yes, &question, "not uploaded").await?;
    progress(&format!("Uploading {files} files ({size})"));
    let file = upload(&client, archive.bytes).await?;
    let tags = tags(&client, &args, existing.as_ref()).await?;
    let (version, ended) = loop {
        let later = format!("see it with `orgplane provisioner jobs list --org {of}`");
        let waiting = Waiting::new("the import", later, args.wait.verbose);
        let version = CreateTemplateVersionRequest {
            organization: organization.id.clone(),
            name: args.name.clone(),
            message: args.message.clone(),
            template_id: existing.as_ref().map(|template| template.id.clone()).unwrap_or_default(),
            storage_method: "file".to_owned(),
            file_id: file.clone(),
            provisioner: provisioner(&args, existing.as_ref()),
            tags: tags.clone(),
            user_variable_values: values.clone(),
            ..CreateTemplateVersionRequest::default()
        };
        let version = client.template_versions().create_template_version(version).await;
        let version = version.context("can't create the template version")?.into_inner();
        progress(&format!("Importing version {}", printable_line(&version.name)));
        let ended = job::to_the_end(&client, &Job::Import(version.id.clone()), waiting).await?;
        let missing =
            if ended.wants_variables() { variables::missing(&client, &version.id, &values).await? } else { Vec::new() };
        if missing.is_empty() {
            break (version, ended);
        }
        // A failed version keeps its name, so that a next one can't have it.
        let again = args.name.is_empty() || existing.is_none();
        values = variables::ask(missing, values, again).await?;
    };
    ended.check()?;
    let version = activate(&client, &args, &organization, &name, existing, version).await?;
    match args.output.output {
        Format::Json => output::json(&version),
        Format::Table => output::line(&version.id),
    }
}

fn template_name(args: &Push) -> Result<String> {
    if let Some(name) = &args.template {
        return Ok(name.clone());
    }
    let folder = args.directory.canonicalize().context("--directory: can't find the folder's name")?;
    let name = folder.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    name.ok_or_else(|| Usage::new("name the template: orgplane templates push <name>").into())
}

fn provisioner(args: &Push, existing: Option<&Template>) -> String {
    let of_existing = existing.map(|template| template.provisioner.clone());
    let given = args.provisioner.map(|engine| engine.name().to_owned());
    given.or(of_existing).unwrap_or_else(|| Engine::Terraform.name().to_owned())
}

/// The tags that are given, else those of the active version's import.
async fn tags(client: &Client, args: &Push, existing: Option<&Template>) -> Result<BTreeMap<String, String>> {
    let mut tags = BTreeMap::new();
    for (key, value) in &args.tags {
        if tags.insert(key.clone(), value.clone()).is_some() {
            return Err(Usage::new(format!("--provisioner-tag: {key} is given twice")).into());
        }
    }
    if let Some(template) = existing.filter(|_| tags.is_empty()) {
        let request = GetTemplateVersionRequest { template_version: template.active_version_id.clone() };
        let active = client.template_versions().get_template_version(request).await;
        let active = active.context("can't read the template's active version")?.into_inner();
        tags = active.job.map(|job| job.tags).unwrap_or_default();
    }
    Ok(tags)
}

/// Makes the imported version a new template's, or the active one of the existing template; the version as it is then.
async fn activate(
    client: &Client,
    args: &Push,
    organization: &Organization,
    name: &str,
    existing: Option<Template>,
    version: TemplateVersion,
) -> Result<TemplateVersion> {
    let shown = printable_line(&version.name);
    match existing {
        None => {
            let request = CreateTemplateRequest {
                organization: organization.id.clone(),
                name: name.to_owned(),
                template_version_id: version.id.clone(),
                ..CreateTemplateRequest::default()
            };
            client.templates().create_template(request).await.context("can't create the template")?;
            progress(&format!(
                "The template {name} is there. Make a workspace of it: orgplane create <name> -t {name}"
            ));
        }
        Some(template) if args.activate => {
            let request = UpdateActiveTemplateVersionRequest { template: template.id, id: version.id.clone() };
            let activated = client.templates().update_active_template_version(request).await;
            activated.context("can't make the version the active one")?;
            progress(&format!("The version {shown} of {name} is the active one now."));
        }
        Some(_) => progress(&format!("The version {shown} of {name} is there, and isn't the active one.")),
    }
    let request = GetTemplateVersionRequest { template_version: version.id };
    let version = client.template_versions().get_template_version(request).await;
    Ok(version.context("can't read the template version")?.into_inner())
}

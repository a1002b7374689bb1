//! Learns what a template is: its variables, its readme, and what it would create.

use std::io;
use std::path::Path;

use orgplane_proto::provisioner::v1::result::Payload;
use orgplane_proto::provisioner::v1::{Discovered, DryRunResult, ImportResult, LogLevel, Resource, TemplateVariable};

use super::archive::{ArchiveError, MAX_UNPACKED};
use super::steps::Terraform;
use super::{LOCK_FILE, described, environment, open, resources, write_variables};
use crate::engine::Failure;
use crate::foreign;

/// Together with the variables it has to fit into one message.
const MAX_README: usize = 512 * 1024;
/// The server takes no longer one.
const MAX_LOCK_FILE: u64 = 256 * 1024;

/// Imports a template version.
pub(super) async fn run(terraform: &Terraform<'_>, unpacked: Result<(), ArchiveError>) -> Result<Payload, Failure> {
    let context = terraform.context;
    let module = open(terraform, unpacked).await?;
    context.stage("Parsing template parameters").await;
    let (readme, cut) = readme(&terraform.template).await;
    if cut {
        context.say(LogLevel::Warn, format!("README.md is longer than {MAX_README} bytes; the rest is left out")).await;
    }
    let variables = module.variables.iter().map(TemplateVariable::from).collect();
    context.discovered(Discovered { readme, variables, ..Discovered::default() })?;
    write_variables(terraform, &module).await?;
    terraform.init(&environment(context, "start")).await?;
    let lock_file = lock_file(terraform).await;
    context.stage("Detecting persistent resources").await;
    let start_resources = planned(terraform, "start").await?;
    context.stage("Detecting ephemeral resources").await;
    let stop_resources = planned(terraform, "stop").await?;
    context.stage("Cleaning Up").await;
    let modules = resources::modules(&terraform.work).await;
    Ok(Payload::TemplateImport(ImportResult { start_resources, stop_resources, modules, lock_file }))
}

/// Plans a start with the given values, and changes nothing.
pub(super) async fn dry_run(terraform: &Terraform<'_>, unpacked: Result<(), ArchiveError>) -> Result<Payload, Failure> {
    let module = open(terraform, unpacked).await?;
    write_variables(terraform, &module).await?;
    terraform.init(&environment(terraform.context, "start")).await?;
    terraform.context.stage("Planning Infrastructure").await;
    let resources = planned(terraform, "start").await?;
    let modules = resources::modules(&terraform.work).await;
    Ok(Payload::DryRun(DryRunResult { resources, modules }))
}

/// What `init` chose, for the builds of this version. Without it they choose again.
async fn lock_file(terraform: &Terraform<'_>) -> String {
    let read = foreign::read_async(terraform.work.join(LOCK_FILE), MAX_LOCK_FILE).await;
    let text = read.and_then(|bytes| String::from_utf8(bytes).map_err(io::Error::other));
    match text {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => {
            let text = format!("{LOCK_FILE} isn't kept for this version's builds: {error}");
            terraform.context.say(LogLevel::Warn, text).await;
            String::new()
        }
    }
}

async fn planned(terraform: &Terraform<'_>, transition: &str) -> Result<Vec<Resource>, Failure> {
    let env = environment(terraform.context, transition);
    let plan = terraform.plan(&env, false, &format!("{transition}.tfplan")).await?;
    let graph = described(terraform, &env, &plan).await?;
    plan.described(&graph).map_err(Failure::job)
}

/// The readme, and whether it was cut.
async fn readme(template: &Path) -> (String, bool) {
    let read = foreign::read_async(template.join("README.md"), MAX_UNPACKED).await;
    let Ok(bytes) = read else { return (String::new(), false) };
    let text = String::from_utf8_lossy(&bytes).replace('\0', "\u{fffd}");
    let end = text.floor_char_boundary(MAX_README);
    (text.get(..end).unwrap_or_default().to_owned(), end < text.len())
}

//! The Terraform engine: also runs OpenTofu.

mod archive;
mod binary;
mod build;
mod environment;
mod graph;
mod import;
mod json;
mod module;
mod output;
mod plugins;
mod resources;
mod state;
mod steps;
mod variables;

use std::collections::BTreeMap;
use std::path::Path;

use orgplane_proto::provisioner::v1::result::Payload;
use orgplane_proto::provisioner::v1::{LogLevel, assign};
use serde_json::Value;

use self::archive::ArchiveError;
pub(crate) use self::binary::Binary;
pub use self::environment::ENVIRONMENT;
use self::graph::Graph;
use self::module::Module;
use self::resources::Show;
use self::steps::Terraform;
use self::variables::VarFiles;
use super::{Context, Failure, advice};
use crate::files::{make_empty, write_private};

/// Where the values of variables are, in the directory where Terraform runs.
const VAR_FILE: &str = "orgplane.tfvars.json";
/// Those of ephemeral ones, which `apply` is given as well; there only if there are such values.
const EPHEMERAL_FILE: &str = "orgplane.ephemeral.tfvars.json";
/// The providers that `init` chose, with their checksums.
const LOCK_FILE: &str = ".terraform.lock.hcl";
const BACKEND_FILE: &str = "backend_override.tf";
/// Replaces whatever backend the template names: a state elsewhere would be lost to us.
const BACKEND: &str = "terraform {\n  backend \"local\" {}\n}\n";

/// Runs the job.
pub(super) async fn run(context: &Context, binary: &Binary) -> Result<Payload, Failure> {
    let archive = context.fetch_archive().await?;
    let terraform = Terraform::new(context, binary);
    let (from, into) = (archive.clone(), terraform.template.clone());
    let unpacked = tokio::task::spawn_blocking(move || {
        make_empty(&into)?;
        archive::unpack(&from, &into)
    });
    let unpacked = unpacked.await;
    let unpacked = unpacked.map_err(|e| Failure::Lost(e.to_string()))?;
    match &context.job.assign.job {
        Some(assign::Job::WorkspaceBuild(build)) => {
            let state = build.state.as_ref().and_then(|s| s.reference.as_ref());
            // The engine's own is newer.
            if let Some(reference) = state.filter(|_| !context.begun) {
                context.fetch(reference, &terraform.work.join(state::FILE)).await?;
            }
            context.job.accept();
            build::run(&terraform, build, unpacked).await
        }
        Some(assign::Job::TemplateImport(_)) => {
            context.job.accept();
            import::run(&terraform, unpacked).await
        }
        Some(assign::Job::DryRun(_)) => {
            context.job.accept();
            import::dry_run(&terraform, unpacked).await
        }
        None => Err(Failure::job("the provisioner daemon doesn't know the kind of job; it may be too old")),
    }
}

/// Reads the template and says what it isn't allowed to be.
async fn open(terraform: &Terraform<'_>, unpacked: Result<(), ArchiveError>) -> Result<Module, Failure> {
    let context = terraform.context;
    context.stage("Setting up").await;
    let result = inspect(terraform, unpacked).await;
    if let Err(Failure::Job { error, .. }) = &result {
        context.say(LogLevel::Error, error.clone()).await;
    }
    let module = result?;
    if let Some(unreadable) = &module.unreadable {
        return Err(terraform.explain(unreadable, &environment(context, "start")).await);
    }
    let assigned = &context.job.assign.variables;
    context.log.mask(variables::secrets(&module.variables, assigned)).await;
    Ok(module)
}

async fn inspect(terraform: &Terraform<'_>, unpacked: Result<(), ArchiveError>) -> Result<Module, Failure> {
    unpacked.map_err(|e| Failure::job(advice::added(e.to_string())))?;
    let (template, opentofu) = (terraform.template.clone(), terraform.binary.opentofu);
    let module = tokio::task::spawn_blocking(move || module::inspect(&template, opentofu)).await;
    let module = module.map_err(|e| Failure::Lost(e.to_string()))?;
    let module = module.map_err(|e| Failure::job(format!("the template can't be read: {e}")))?;
    if let Some(refusal) = &module.foreign_backend {
        return Err(Failure::job(refusal.clone()));
    }
    write(&terraform.template, BACKEND_FILE, BACKEND.as_bytes())?;
    let lock_file = &terraform.context.job.assign.lock_file;
    if !lock_file.is_empty() {
        write(&terraform.template, LOCK_FILE, lock_file.as_bytes())?;
    }
    Ok(module)
}

/// Writes the values of the template's variables where `plan` finds them.
async fn write_variables(terraform: &Terraform<'_>, module: &Module) -> Result<(), Failure> {
    let files = variables::var_files(&module.variables, &terraform.context.job.assign.variables);
    if let Err(Failure::Job { error, .. }) = &files {
        terraform.context.say(LogLevel::Error, error.clone()).await;
    }
    let VarFiles { kept, ephemeral } = files?;
    if !ephemeral.is_empty() {
        write(&terraform.template, EPHEMERAL_FILE, Value::Object(ephemeral).to_string().as_bytes())?;
    }
    write(&terraform.template, VAR_FILE, Value::Object(kept).to_string().as_bytes())
}

fn write(work: &Path, file: &str, bytes: &[u8]) -> Result<(), Failure> {
    write_private(&work.join(file), bytes).map_err(|e| Failure::job(advice::added(format!("can't write {file}: {e}"))))
}

/// The environment of the job's commands.
fn environment(context: &Context, transition: &str) -> BTreeMap<String, String> {
    let metadata = context.job.assign.metadata.clone().unwrap_or_default();
    let job = environment::job(&metadata, transition, &context.host.server_url);
    let mut env = environment::base(std::env::vars_os(), &context.host.engine_env, &job);
    if let Some(user) = &context.user {
        env.extend(user.environment());
    }
    env
}

/// The graph that says which resources the plan's descriptions are of; an empty one where there are none.
async fn described(terraform: &Terraform<'_>, env: &BTreeMap<String, String>, plan: &Show) -> Result<Graph, Failure> {
    if plan.has_descriptions() { terraform.graph(env).await } else { Ok(Graph::default()) }
}

//! The echo engine: does what a script in the template says, for tests, load and demonstrations. It runs nothing.
//!
//! The script is the file `echo.json` in the archive's root. It has up to five sections, `import`, `dry_run`, `start`,
//! `stop` and `delete`, one for each kind of job; without the file or the section a job succeeds at once. A section:
//!
//! ```json
//! {
//!   "logs": [{"stage": "Starting workspace", "level": "info", "output": "hello", "delay_ms": 100, "repeat": 1}],
//!   "readme": "# For an import",
//!   "variables": [{"name": "size", "description": "", "type": "string", "default": "small", "required": false,
//!                  "sensitive": false}],
//!   "apply": true,
//!   "daily_cost": 0,
//!   "after_permit": [{"output": "applied"}],
//!   "state": {"lineage": "a1", "serial": 1, "content": "any text"},
//!   "resources": [{"type": "echo", "name": "thing"}],
//!   "stop_resources": [],
//!   "outcome": "succeeded",
//!   "error": ""
//! }
//! ```
//!
//! Every member may be left out. In order: the readme and the variables are reported, the lines of `logs` are said (each
//! after its delay, so many times), with `apply` the permit is asked for and the lines of `after_permit` are said, the
//! state is handed in, and the job ends as `outcome` (`succeeded`, `failed` or `canceled`) with `error`. A cancel ends it
//! between two lines or within a delay. In outputs `{workspace}`, `{owner}` and `{organization}` stand for the names.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use orgplane_proto::provisioner::v1::result::Payload;
use orgplane_proto::provisioner::v1::{
    BuildResult, Discovered, DryRunResult, ImportResult, LogLevel, Resource, TemplateVariable, WorkspaceTransition,
    assign,
};
use serde::Deserialize;

use super::{Context, Failure};
use crate::job::Stop;
use crate::job::phase::Cause;

const SCRIPT: &str = "echo.json";
const MAX_SCRIPT: u64 = 8 * 1024 * 1024;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Section {
    logs: Vec<Say>,
    readme: String,
    variables: Vec<Variable>,
    apply: bool,
    daily_cost: i32,
    after_permit: Vec<Say>,
    state: Option<State>,
    resources: Vec<Thing>,
    stop_resources: Vec<Thing>,
    outcome: Ending,
    error: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Say {
    #[serde(default)]
    stage: Option<String>,
    #[serde(default)]
    level: Level,
    #[serde(default)]
    output: String,
    #[serde(default)]
    delay_ms: u64,
    #[serde(default = "once")]
    repeat: u32,
}

const fn once() -> u32 {
    1
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Trace,
    Debug,
    #[default]
    Info,
    Warn,
    Error,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Ending {
    #[default]
    Succeeded,
    Failed,
    Canceled,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Variable {
    name: String,
    description: String,
    r#type: String,
    default: String,
    required: bool,
    sensitive: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    lineage: String,
    serial: i64,
    content: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Thing {
    r#type: String,
    name: String,
}

impl From<Thing> for Resource {
    fn from(thing: Thing) -> Self {
        let address = format!("{}.{}", thing.r#type, thing.name);
        Self { r#type: thing.r#type, name: thing.name, address, ..Self::default() }
    }
}

/// Plays the job's section of the script.
pub(super) async fn run(context: &Context) -> Result<Payload, Failure> {
    let archive = context.fetch_archive().await?;
    let script = tokio::task::spawn_blocking(move || read_script(&archive)).await;
    context.job.accept();
    let mut script = script.map_err(|e| Failure::Lost(e.to_string()))?.map_err(Failure::job)?;
    let section = script.remove(section_name(context)?).unwrap_or_default();

    let discovers = !section.readme.is_empty() || !section.variables.is_empty();
    if discovers {
        let variables = section.variables.into_iter().map(variable).collect();
        context.discovered(Discovered { readme: section.readme, variables, ..Discovered::default() })?;
    }
    say_all(context, section.logs).await?;
    if section.apply {
        context.permit(section.daily_cost).await?;
        say_all(context, section.after_permit).await?;
    }
    if let Some(State { lineage, serial, content }) = section.state {
        let stored = context.or_stop(context.store_state(lineage, serial, content.into())).await?;
        stored.map_err(|e| Failure::job(format!("the state can't be handed in: {e}")))?;
    }
    match section.outcome {
        Ending::Succeeded => {}
        Ending::Failed => return Err(Failure::job(section.error)),
        Ending::Canceled => {
            context.job.stop(Stop { cause: Cause::Canceled, reason: section.error, grace: None });
            return Err(Failure::Stopped);
        }
    }
    let resources: Vec<Resource> = section.resources.into_iter().map(Resource::from).collect();
    Ok(match &context.job.assign.job {
        Some(assign::Job::TemplateImport(_)) => Payload::TemplateImport(ImportResult {
            lock_file: String::new(),
            start_resources: resources,
            stop_resources: section.stop_resources.into_iter().map(Resource::from).collect(),
            modules: Vec::new(),
        }),
        Some(assign::Job::DryRun(_)) => Payload::DryRun(DryRunResult { resources, modules: Vec::new() }),
        _ => Payload::WorkspaceBuild(BuildResult { resources, modules: Vec::new() }),
    })
}

fn section_name(context: &Context) -> Result<&'static str, Failure> {
    match &context.job.assign.job {
        Some(assign::Job::TemplateImport(_)) => Ok("import"),
        Some(assign::Job::DryRun(_)) => Ok("dry_run"),
        Some(assign::Job::WorkspaceBuild(build)) => match build.transition() {
            WorkspaceTransition::Start => Ok("start"),
            WorkspaceTransition::Stop => Ok("stop"),
            WorkspaceTransition::Delete => Ok("delete"),
            WorkspaceTransition::Unspecified => Err(Failure::job("the build has no transition")),
        },
        None => Err(Failure::job("the assignment has no job")),
    }
}

async fn say_all(context: &Context, lines: Vec<Say>) -> Result<(), Failure> {
    let metadata = &context.job.assign.metadata.clone().unwrap_or_default();
    let mut stage = None;
    for line in lines {
        if line.stage.is_some() && line.stage != stage {
            stage.clone_from(&line.stage);
            context.stage(line.stage.unwrap_or_default()).await;
        }
        let output = line
            .output
            .replace("{workspace}", &metadata.workspace_name)
            .replace("{owner}", &metadata.owner_name)
            .replace("{organization}", &metadata.organization_name);
        let level = match line.level {
            Level::Trace => LogLevel::Trace,
            Level::Debug => LogLevel::Debug,
            Level::Info => LogLevel::Info,
            Level::Warn => LogLevel::Warn,
            Level::Error => LogLevel::Error,
        };
        for _ in 0..line.repeat {
            context.or_stop(tokio::time::sleep(Duration::from_millis(line.delay_ms))).await?;
            context.engine_line(std::time::SystemTime::now(), level, output.clone()).await;
        }
    }
    context.check()
}

fn variable(v: Variable) -> TemplateVariable {
    let r#type = if v.r#type.is_empty() { "string".to_owned() } else { v.r#type };
    TemplateVariable {
        name: v.name,
        description: v.description,
        r#type,
        default_value: v.default,
        required: v.required,
        sensitive: v.sensitive,
    }
}

fn read_script(archive: &PathBuf) -> Result<BTreeMap<String, Section>, String> {
    let unreadable = |e: std::io::Error| format!("the template's archive can't be read: {e}");
    let mut tar = tar::Archive::new(File::open(archive).map_err(unreadable)?);
    for entry in tar.entries().map_err(unreadable)? {
        let mut entry = entry.map_err(unreadable)?;
        let found = entry.path().is_ok_and(|p| p.strip_prefix(".").unwrap_or(&p) == Path::new(SCRIPT));
        if found {
            let mut text = Vec::new();
            entry.by_ref().take(MAX_SCRIPT).read_to_end(&mut text).map_err(unreadable)?;
            return serde_json::from_slice(&text).map_err(|e| format!("{SCRIPT}: {e}"));
        }
    }
    Ok(BTreeMap::new())
}

//! Starts, stops and deletes workspaces.

use orgplane_proto::provisioner::v1::result::Payload;
use orgplane_proto::provisioner::v1::{BuildJob, BuildResult, LogLevel, WorkspaceTransition};
use tokio::sync::watch;

use super::archive::ArchiveError;
use super::graph::Graph;
use super::resources::{self, Show};
use super::state::Watcher;
use super::steps::{Ended, Terraform};
use super::{described, environment, open, write_variables};
use crate::engine::Failure;

const PLAN: &str = "terraform.tfplan";

struct Words {
    transition: &'static str,
    stage: &'static str,
}

fn words(transition: WorkspaceTransition) -> Option<Words> {
    match transition {
        WorkspaceTransition::Start => Some(Words { transition: "start", stage: "Starting workspace" }),
        WorkspaceTransition::Stop => Some(Words { transition: "stop", stage: "Stopping workspace" }),
        WorkspaceTransition::Delete => Some(Words { transition: "destroy", stage: "Destroying workspace" }),
        WorkspaceTransition::Unspecified => None,
    }
}

/// Takes the workspace through the transition.
pub(super) async fn run(
    terraform: &Terraform<'_>,
    build: &BuildJob,
    unpacked: Result<(), ArchiveError>,
) -> Result<Payload, Failure> {
    let context = terraform.context;
    let Some(words) = words(build.transition()) else { return Err(Failure::job("the build has no transition")) };
    let delete = build.transition() == WorkspaceTransition::Delete;
    if delete && build.state.is_none() {
        context.stage(words.stage).await;
        context.say(LogLevel::Info, "The workspace has no state; there is nothing to delete").await;
        return Ok(Payload::WorkspaceBuild(BuildResult::default()));
    }
    let module = open(terraform, unpacked).await?;
    write_variables(terraform, &module).await?;
    let env = environment(context, words.transition);
    terraform.init(&env).await?;
    context.stage("Planning Infrastructure").await;
    let plan = terraform.plan(&env, delete, PLAN).await?;
    let graph = if delete { Graph::default() } else { described(terraform, &env, &plan).await? };
    // Found before anything is changed.
    plan.described(&graph).map_err(Failure::job)?;
    // Deleting is free.
    context.permit(if delete { 0 } else { plan.daily_cost() }).await?;
    context.stage(words.stage).await;
    let (ended, stored) = apply(terraform, build, &env).await;
    let applied = ended.and_then(|ended| judge(terraform, &ended));
    if let Err(why) = stored {
        return Err(unstored(terraform, applied, &why).await);
    }
    applied?;
    let show = if delete { Show::default() } else { after(terraform, &env).await? };
    let modules = resources::modules(&terraform.work).await;
    context.stage("Cleaning Up").await;
    let resources = show.described(&graph).map_err(Failure::job)?;
    Ok(Payload::WorkspaceBuild(BuildResult { resources, modules }))
}

/// Applies, and hands in each newer state meanwhile and the last one at the end. The second says whether the newest one
/// is stored, and why not.
async fn apply(
    terraform: &Terraform<'_>,
    build: &BuildJob,
    env: &std::collections::BTreeMap<String, String>,
) -> (Result<Ended, Failure>, Result<(), String>) {
    let mut watcher = Watcher::new(&terraform.work, build.state.as_ref());
    let (done, ended) = watch::channel(false);
    let applying = async {
        let applied = terraform.apply(env, PLAN).await;
        done.send_replace(true);
        applied
    };
    let (applied, ()) = tokio::join!(applying, watcher.follow(terraform.context, ended));
    let has_changes = applied.as_ref().is_ok_and(|ended| ended.output.has_changes());
    let stored = watcher.finish(terraform.context, has_changes).await;
    (applied, stored)
}

/// What the end of an apply means for the job.
fn judge(terraform: &Terraform<'_>, ended: &Ended) -> Result<(), Failure> {
    terraform.expect_success("apply", ended).map_err(|failure| {
        let failure = match failure {
            // Interrupted while applying: what was done counts, and what wasn't is named.
            Failure::Stopped => Failure::job("the apply was interrupted"),
            other => other,
        };
        match failure {
            Failure::Job { error, code } => Failure::Job { error: ended.output.with_in_flight(error), code },
            other => other,
        }
    })
}

/// The job fails, whatever the engine did: the next build would work from an older state. What is on disk stays there.
async fn unstored(terraform: &Terraform<'_>, applied: Result<(), Failure>, why: &str) -> Failure {
    let context = terraform.context;
    context.job.keep();
    let place = terraform.work.display();
    let text = format!("the newest state isn't stored ({why}); the provisioner daemon keeps it in {place}");
    context.say(LogLevel::Error, text.clone()).await;
    match applied {
        Err(Failure::Lost(error)) => Failure::Lost(format!("{text}; {error}")),
        Err(Failure::Job { error, code }) => Failure::Job { error: format!("{text}; {error}"), code },
        Ok(()) | Err(Failure::Stopped | Failure::Infrastructure(_)) => Failure::job(text),
    }
}

/// The state after the apply; an apply that ended well counts even if a cancel came since.
async fn after(terraform: &Terraform<'_>, env: &std::collections::BTreeMap<String, String>) -> Result<Show, Failure> {
    terraform.context.stage("Graphing Infrastructure").await;
    terraform.show_applied(env).await
}

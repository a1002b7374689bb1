//! `orgplane start`, `stop` and `delete`: builds of a workspace.

use anyhow::{Context as _, Result, bail};
use orgplane_proto::json::JsonEnum as _;
use orgplane_proto::provisioner::v1::WorkspaceTransition as Transition;
use orgplane_proto::workspace::v1::{
    BuildReason, CreateWorkspaceBuildRequest, GetWorkspaceBuildRequest, Workspace, WorkspaceBuild, WorkspaceStatus,
};

use crate::args::{DeleteWorkspace, StartWorkspace, StopWorkspace, Yes};
use crate::client::Client;
use crate::job::{self, Job, Waiting, has_ended};
use crate::output::{self, Format, progress};
use crate::terminal;

pub(crate) async fn start(args: StartWorkspace) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let workspace = super::find(&client, &args.workspace.workspace).await?;
    let shown = shown(&workspace);
    let latest = latest(&workspace)?;
    let verbose = args.wait.verbose;
    let build = match (latest.status(), latest.transition()) {
        (WorkspaceStatus::Running, _) => {
            progress(&format!("The workspace {shown} is running already."));
            latest.clone()
        }
        (WorkspaceStatus::Pending | WorkspaceStatus::Starting, Transition::Start) => {
            progress(&format!("The workspace {shown} is starting already."));
            finish(&client, latest.clone(), waiting(&shown, verbose)).await?
        }
        (WorkspaceStatus::Failed | WorkspaceStatus::Canceled, Transition::Start) => {
            let question = format!("The last start of {shown} didn't succeed. Stop first what it left behind?");
            terminal::agree(&Yes { yes: args.yes }, &question, "not started").await?;
            progress("The last start didn't succeed: what it left behind is stopped first.");
            run(&client, &workspace, Transition::Stop, false, verbose).await?;
            run(&client, &workspace, Transition::Start, false, verbose).await?
        }
        _ => run(&client, &workspace, Transition::Start, false, verbose).await?,
    };
    print(&build, args.output.output)
}

pub(crate) async fn stop(args: StopWorkspace) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let workspace = super::find(&client, &args.workspace.workspace).await?;
    terminal::agree(&args.yes, &format!("Stop the workspace {}?", shown(&workspace)), "not stopped").await?;
    let build = run(&client, &workspace, Transition::Stop, false, args.wait.verbose).await?;
    print(&build, args.output.output)
}

pub(crate) async fn delete(args: DeleteWorkspace) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let workspace = super::find(&client, &args.workspace.workspace).await?;
    let what = if args.orphan { "and leave all that it made where it is" } else { "with all that it made" };
    terminal::agree(&args.yes, &format!("Delete the workspace {} {what}?", shown(&workspace)), "not deleted").await?;
    let build = run(&client, &workspace, Transition::Delete, args.orphan, args.wait.verbose).await?;
    print(&build, args.output.output)
}

/// Queues a build and waits for it; the build as it is then.
async fn run(
    client: &Client,
    workspace: &Workspace,
    transition: Transition,
    orphan: bool,
    verbose: bool,
) -> Result<WorkspaceBuild> {
    let latest = latest(workspace)?;
    let shown = shown(workspace);
    let (doing, done) = words(transition);
    // Builds are one at a time; what goes on may have been asked for by somebody else.
    let active = latest.job.as_ref().is_some_and(|job| !has_ended(job));
    if active && latest.transition() != transition {
        let status = WorkspaceStatus::text_of(latest.status);
        bail!("wait for the build that goes on, or cancel it: the workspace {shown} is {status}");
    }
    let waiting = waiting(&shown, verbose);
    progress(&format!("{doing} the workspace {shown}"));
    let build = if active && !orphan {
        latest.clone()
    } else {
        let request = CreateWorkspaceBuildRequest {
            workspace: workspace.id.clone(),
            transition: transition.into(),
            reason: BuildReason::Cli.into(),
            orphan,
            ..CreateWorkspaceBuildRequest::default()
        };
        let build = client.workspace_builds().create_workspace_build(request).await;
        build.context("can't queue the build")?.into_inner()
    };
    let build = finish(client, build, waiting).await?;
    progress(&format!("The workspace {shown} is {done}."));
    Ok(build)
}

/// How to wait for a build that is about to be queued.
pub(super) fn waiting(shown: &str, verbose: bool) -> Waiting {
    Waiting::new("the build", format!("`orgplane logs {shown} --follow` shows it"), verbose)
}

/// Waits for a build; the build as it is then.
pub(super) async fn finish(client: &Client, build: WorkspaceBuild, waiting: Waiting) -> Result<WorkspaceBuild> {
    job::to_the_end(client, &Job::Build(build.id.clone()), waiting).await?.check()?;
    let request = GetWorkspaceBuildRequest { workspace_build: build.id };
    let build = client.workspace_builds().get_workspace_build(request).await;
    Ok(build.context("can't read the build")?.into_inner())
}

fn print(build: &WorkspaceBuild, format: Format) -> Result<()> {
    match format {
        Format::Json => output::json(build),
        Format::Table => output::line(&build.id),
    }
}

fn latest(workspace: &Workspace) -> Result<&WorkspaceBuild> {
    workspace.latest_build.as_ref().context("the server's answer has no build")
}

fn shown(workspace: &Workspace) -> String {
    format!("{}/{}", workspace.owner_name, workspace.name)
}

fn words(transition: Transition) -> (&'static str, &'static str) {
    match transition {
        Transition::Stop => ("Stopping", "stopped"),
        Transition::Delete => ("Deleting", "deleted"),
        Transition::Start | Transition::Unspecified => ("Starting", "running"),
    }
}

//! What a template would make: a dry run, before a workspace is created.

use anyhow::{Context as _, Result};
use orgplane_proto::template::v1::{CreateDryRunRequest, ListDryRunResourcesRequest};

use super::show;
use crate::client::Client;
use crate::job::{self, Job, Waiting};
use crate::output::progress;

/// Runs a template version without making anything, and shows what it would make.
pub(super) async fn run(client: &Client, version: &str, workspace: &str, verbose: bool) -> Result<()> {
    let later = "see it with `orgplane provisioner jobs list`".to_owned();
    let waiting = Waiting::new("the dry run", later, verbose);
    progress(&format!("Planning the workspace {workspace}"));
    let request = CreateDryRunRequest {
        template_version: version.to_owned(),
        workspace_name: workspace.to_owned(),
        ..CreateDryRunRequest::default()
    };
    let job = client.dry_runs().create_dry_run(request).await.context("can't start the dry run")?.into_inner().id;
    let dry_run = Job::DryRun { version: version.to_owned(), job: job.clone() };
    job::to_the_end(client, &dry_run, waiting).await?.check()?;
    let request = ListDryRunResourcesRequest { template_version: version.to_owned(), job };
    let planned = client.dry_runs().list_dry_run_resources(request).await;
    let planned = planned.context("can't read what the dry run found")?.into_inner().resources;
    match show::resources(planned) {
        Some(table) => progress(&format!("It would make:\n{table}")),
        None => progress("It would make nothing."),
    }
    Ok(())
}

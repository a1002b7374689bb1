//! Watches a job: its log lines as they come, stage by stage, until it ends.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use orgplane_proto::provisioner::v1::{JobStatus, ProvisionerJob, StreamJobLogsRequest};
use orgplane_proto::template::v1::GetTemplateVersionRequest;
use orgplane_proto::workspace::v1::GetWorkspaceBuildRequest;
use tokio::time::{Instant, sleep};

use crate::client::Client;
use crate::output::{self, printable};

const POLL: Duration = Duration::from_millis(150);
const JOB_ENDS: Duration = Duration::from_secs(10 * 60);

/// What a job is for, with the id of that.
pub(crate) enum Job {
    /// A template version's import.
    Import(String),
    /// A workspace's build.
    Build(String),
}

/// Prints the job's log until it has ended, and returns it.
pub(crate) async fn to_the_end(client: &Client, job: &Job) -> Result<ProvisionerJob> {
    let deadline = Instant::now() + JOB_ENDS;
    let mut printed = Printed::default();
    loop {
        // Asked before the log is read: what an ended job has said is all there.
        let now = state(client, job).await?;
        print_new_lines(client, job, &mut printed).await?;
        if matches!(now.status(), JobStatus::Succeeded | JobStatus::Canceled | JobStatus::Failed) {
            return Ok(now);
        }
        if Instant::now() > deadline {
            bail!("the job hasn't ended after {} min", JOB_ENDS.as_secs() / 60);
        }
        sleep(POLL).await;
    }
}

async fn state(client: &Client, job: &Job) -> Result<ProvisionerJob> {
    let job = match job {
        Job::Import(id) => {
            let request = GetTemplateVersionRequest { template_version: id.clone() };
            let version = client.template_versions().get_template_version(request).await;
            version.context("can't read the template version")?.into_inner().job
        }
        Job::Build(id) => {
            let request = GetWorkspaceBuildRequest { workspace_build: id.clone() };
            let build = client.workspace_builds().get_workspace_build(request).await;
            build.context("can't read the build")?.into_inner().job
        }
    };
    job.context("the server's answer has no job")
}

#[derive(Default)]
struct Printed {
    last: i64,
    stage: String,
}

async fn print_new_lines(client: &Client, job: &Job, printed: &mut Printed) -> Result<()> {
    let mut request = StreamJobLogsRequest { after: printed.last, ..Default::default() };
    match job {
        Job::Import(id) => request.template_version.clone_from(id),
        Job::Build(id) => request.workspace_build.clone_from(id),
    }
    let stream = client.provisioner_jobs().stream_job_logs(request).await;
    let mut stream = stream.context("can't read the job's log")?.into_inner();
    while let Some(batch) = stream.message().await.context("the job's log breaks off")? {
        for line in batch.logs {
            printed.last = printed.last.max(line.id);
            if line.stage != printed.stage {
                output::line(&format!("  {}", printable(&line.stage)))?;
                printed.stage.clone_from(&line.stage);
            }
            if !line.output.is_empty() {
                output::line(&format!("    {}", printable(&line.output)))?;
            }
        }
    }
    Ok(())
}

//! Watches a job: its log lines as they come, stage by stage, until it ends.

use std::time::Duration;

use anyhow::{Context as _, Result};
use orgplane_proto::provisioner::v1::{ProvisionerJob, ProvisionerJobLog};
use tokio::time::timeout;

use crate::client::Client;
use crate::job::{Event, Job, follow};
use crate::output;
use crate::printable::printable;

const JOB_ENDS: Duration = Duration::from_secs(10 * 60);

/// Prints the job's log until it has ended, and returns it.
pub(crate) async fn to_the_end(client: &Client, job: &Job) -> Result<ProvisionerJob> {
    let late = || format!("the job hasn't ended after {} min", JOB_ENDS.as_secs() / 60);
    timeout(JOB_ENDS, print(client, job)).await.with_context(late)??;
    Ok(job.standing(client).await?.job)
}

async fn print(client: &Client, job: &Job) -> Result<()> {
    let mut stage = String::new();
    let mut events = follow(client, job);
    while let Some(event) = events.recv().await {
        match event {
            Event::Line(line) => print_line(&line, &mut stage)?,
            Event::Away => {}
            Event::Failed(error) => return Err(error),
        }
    }
    Ok(())
}

fn print_line(line: &ProvisionerJobLog, stage: &mut String) -> Result<()> {
    if line.stage != *stage {
        output::line(&format!("  {}", printable(&line.stage)))?;
        stage.clone_from(&line.stage);
    }
    if line.output.is_empty() { Ok(()) } else { output::line(&format!("    {}", printable(&line.output))) }
}

//! `orgplane logs`.

use anyhow::{Context as _, Result, anyhow};
use orgplane_proto::provisioner::v1::ProvisionerJobLog;
use orgplane_proto::workspace::v1::GetWorkspaceBuildByNumberRequest;

use crate::args::Logs;
use crate::client::Client;
use crate::error::not_found;
use crate::job::{self, Event, Job};
use crate::output::{self, Format, progress};
use crate::printable::printable_line;

pub(crate) async fn run(args: Logs) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let workspace = super::find(&client, &args.workspace.workspace).await?;
    let build = match args.build {
        None => workspace.latest_build.context("the server's answer has no build")?.id,
        Some(build_number) => {
            let request = GetWorkspaceBuildByNumberRequest {
                user: workspace.owner_id.clone(),
                workspace_name: workspace.name.clone(),
                build_number,
            };
            let found = client.workspace_builds().get_workspace_build_by_number(request).await;
            let sentence = || format!("check the number: {} has no build {build_number}", workspace.name);
            found.map_err(|status| not_found(status, sentence))?.into_inner().id
        }
    };
    let job = Job::Build(build);
    let mut printer = Printer { format: args.output.output, stage: String::new() };
    if !args.follow {
        let lines = job::stored(&client, &job).await?;
        if args.output.output == Format::Json {
            return output::json(&lines);
        }
        return lines.iter().try_for_each(|line| printer.print(line));
    }
    let mut events = job::follow(&client, &job);
    while let Some(event) = events.recv().await {
        match event {
            Event::Line(line) => printer.print(&line)?,
            Event::Away => progress("Lost contact with the server. Trying again…"),
            Event::Failed(error) => return Err(anyhow!(error)),
        }
    }
    Ok(())
}

struct Printer {
    format: Format,
    stage: String,
}

impl Printer {
    fn print(&mut self, line: &ProvisionerJobLog) -> Result<()> {
        if self.format == Format::Json {
            return output::line(&serde_json::to_string(line)?);
        }
        if self.stage != line.stage {
            output::line(&format!("==> {}", printable_line(&line.stage)))?;
            self.stage.clone_from(&line.stage);
        }
        if line.output.is_empty() { Ok(()) } else { output::line(&printable_line(&line.output)) }
    }
}

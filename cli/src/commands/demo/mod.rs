//! `orgplane demo`: the whole product in a temporary folder, as a newcomer would set it up.

mod child;
mod follow;
mod http;
mod story;
mod template;

use std::process::ExitCode;

use anyhow::{Context as _, Result};

use crate::args::{Demo, Engine};
use crate::output::progress;
use crate::signals::Stop;

use child::{Daemon, Server};
use story::{Account, Outcome, Story};

const WAYS_TO_GET_ONE: &str = "\
Neither terraform nor tofu is on PATH, so the echo engine runs a scripted template instead: nothing is provisioned.
Get Terraform 1.4 or newer (https://developer.hashicorp.com/terraform/install) or OpenTofu
(https://opentofu.org/docs/intro/install) to see it run a real one.";

/// Runs the demo; the children are ended and the folder is removed whatever happens.
pub(crate) async fn run(args: Demo) -> Result<ExitCode> {
    let mut stop = Stop::catch()?;
    let engine = args.engine.unwrap_or_else(|| {
        if template::terraform_is_on_path() {
            Engine::Terraform
        } else {
            progress(WAYS_TO_GET_ONE);
            Engine::Echo
        }
    });
    let folder = tempfile::Builder::new().prefix("orgplane-demo-").tempdir().context("can't create a folder")?;
    progress(&format!("==> Starting a server with embedded storage in {}", folder.path().display()));
    let mut server = Server::start(folder.path(), args.http_address)?;
    let mut daemon = None;
    let account = Account::random();
    let outcome = tokio::select! {
        outcome = play(&mut server, &mut daemon, engine, &account, folder.path()) => outcome,
        _ = stop.received() => Ok(None),
    };
    if let Ok(Some(outcome)) = &outcome
        && !args.exit
    {
        outcome.print_ways_on(&account)?;
        progress("\nPress Ctrl-C to end the demo; its folder is removed then.");
        tokio::select! {
            ended = Daemon::ended(&mut daemon) => progress(&ended),
            ended = server.ended() => progress(&ended),
            _ = stop.received() => {}
        }
    }
    progress("==> Ending the demo");
    if let Some(daemon) = daemon {
        daemon.end().await;
    }
    server.end().await;
    folder.close().context("can't remove the demo's folder")?;
    // Ctrl-C is the ordinary end of a demo that stays up, and a run cut short of one that doesn't.
    let good = outcome?.map_or(!args.exit, |outcome| outcome.started);
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The run, cut short when one of the children dies.
async fn play(
    server: &mut Server,
    daemon: &mut Option<Daemon>,
    engine: Engine,
    account: &Account,
    folder: &std::path::Path,
) -> Result<Option<Outcome>> {
    let url = server.ready().await?;
    let story = Story::begin(&url, engine, account).await?;
    let key = story.set_up().await?;
    progress("==> Starting a provisioner daemon with the key, as a process of its own");
    let daemon = daemon.insert(Daemon::start(folder, &url, &key, engine)?);
    tokio::select! {
        outcome = story.run() => outcome.map(Some),
        error = server.failed() => Err(error),
        error = daemon.failed() => Err(error),
    }
}

//! What each command does.

mod completion;
mod demo;
mod front;
mod gateway;
mod login;
mod organizations;
mod provisioner;
mod server;
mod version;

use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow};

use crate::args::{Args, Command, Keys, LogFormat, Organizations, Provisioner, Provisionerd};
use crate::logging;

/// Runs a command; its exit code unless it fails.
pub(crate) fn run(args: Args) -> Result<ExitCode> {
    match args.command {
        // One per engine command, and it outlives the daemon: nothing but what it needs.
        Command::Provisioner(Provisioner::Shim { dir }) => return Ok(provisioner::shim::run(&dir)),
        Command::Completion { shell } => completion::run(shell),
        Command::Version(output) => version::run(output.output)?,
        command => {
            let provider = rustls::crypto::ring::default_provider();
            provider.install_default().map_err(|_| anyhow!("another TLS provider is installed already"))?;
            match command.log() {
                Some(log) => logging::init(log.log_format, "info")?,
                None => logging::init(LogFormat::Human, "warn")?,
            }
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
            return runtime.context("can't start threads")?.block_on(Box::pin(with_runtime(command)));
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn with_runtime(command: Command) -> Result<ExitCode> {
    match command {
        Command::Server(args) => server::run(*args).await?,
        Command::Gateway(args) => gateway::run(*args).await?,
        Command::Provisioner(Provisioner::Start(args)) | Command::Provisionerd(Provisionerd::Start(args)) => {
            provisioner::start::run(*args).await?;
        }
        Command::Provisioner(Provisioner::Keys(Keys::Create(args))) => provisioner::keys::create(args).await?,
        Command::Provisioner(Provisioner::Keys(Keys::List(args))) => provisioner::keys::list(args).await?,
        Command::Provisioner(Provisioner::Keys(Keys::Delete(args))) => provisioner::keys::delete(args).await?,
        Command::Provisioner(Provisioner::List(args)) => provisioner::list::run(args).await?,
        Command::Organizations(Organizations::List { connection, output }) => {
            organizations::list(&connection, output.output).await?;
        }
        Command::Organizations(Organizations::Create { name, display_name, description, connection, output }) => {
            organizations::create(name, display_name, description, &connection, output.output).await?;
        }
        Command::Login(args) => login::run(args).await?,
        Command::Demo(args) => return demo::run(args).await,
        Command::Provisioner(Provisioner::Shim { .. }) | Command::Completion { .. } | Command::Version(_) => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Where gRPC isn't served: its clients are told so in their own terms.
fn no_grpc(sentence: &'static str) -> axum::Router {
    axum::Router::new().fallback(async move || tonic::Status::unimplemented(sentence).into_http::<axum::body::Body>())
}

//! What each command does.

mod audit;
pub(crate) mod completion;
mod demo;
mod front;
mod gateway;
mod login;
mod logout;
mod organizations;
mod provisioner;
mod server;
mod templates;
mod tokens;
mod users;
mod version;
mod whoami;
mod workspaces;

use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow};

use crate::args::{
    Args, Audit, Command, Jobs, Keys, LogFormat, Members, Organizations, Provisioner, Provisionerd, Roles, Templates,
    Tokens, Users, Versions,
};
use crate::{interrupt, logging};

/// Runs a command; its exit code unless it fails.
pub(crate) fn run(args: Args) -> Result<ExitCode> {
    match args.command {
        // One per engine command, and it outlives the daemon: nothing but what it needs.
        Command::Provisioner(Provisioner::Shim { dir }) => return Ok(provisioner::shim::run(&dir)),
        Command::Completion { shell } => completion::run(shell)?,
        Command::Version(output) => version::run(output.output)?,
        command => {
            let provider = rustls::crypto::ring::default_provider();
            provider.install_default().map_err(|_| anyhow!("another TLS provider is installed already"))?;
            let is_service = command.log().is_some();
            match command.log() {
                Some(log) => logging::init(log.log_format, "info")?,
                None => logging::init(LogFormat::Human, "warn")?,
            }
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
            let runtime = runtime.context("can't start threads")?;
            // Those that stay look at signals themselves.
            let stays = is_service || matches!(command, Command::Demo(_));
            let command = Box::pin(with_runtime(command));
            let outcome =
                runtime.block_on(async { if stays { command.await } else { interrupt::ends(command).await } });
            if !is_service {
                // A thread may wait for an answer at the terminal that nobody wants any more.
                runtime.shutdown_background();
            }
            return outcome;
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
        Command::Provisioner(Provisioner::Jobs(Jobs::List(args))) => provisioner::jobs::list(args).await?,
        Command::Provisioner(Provisioner::Jobs(Jobs::Cancel(args))) => provisioner::jobs::cancel(args).await?,
        Command::Provisioner(Provisioner::Jobs(Jobs::Release(args))) => provisioner::jobs::release(args).await?,
        Command::Organizations(Organizations::List(args)) => organizations::list(args).await?,
        Command::Organizations(Organizations::Show(args)) => organizations::show(args).await?,
        Command::Organizations(Organizations::Create(args)) => organizations::create(args).await?,
        Command::Organizations(Organizations::Edit(args)) => organizations::edit(args).await?,
        Command::Organizations(Organizations::Delete(args)) => organizations::delete(args).await?,
        Command::Organizations(Organizations::Members(command)) => match command {
            Members::List(args) => organizations::members::list(args).await?,
            Members::Add(args) => organizations::members::add(args).await?,
            Members::Remove(args) => organizations::members::remove(args).await?,
            Members::EditRoles(args) => organizations::members::edit_roles(args).await?,
        },
        Command::Organizations(Organizations::Roles(command)) => match command {
            Roles::Show(args) => organizations::roles::show(args).await?,
            Roles::Create(args) => organizations::roles::create(args).await?,
            Roles::Update(args) => organizations::roles::update(args).await?,
            Roles::Delete(args) => organizations::roles::delete(args).await?,
        },
        Command::Users(Users::Create(args)) => users::create(args).await?,
        Command::Users(Users::List(args)) => users::list(args).await?,
        Command::Users(Users::Show(args)) => users::show(args).await?,
        Command::Users(Users::Suspend(args)) => users::suspend(args).await?,
        Command::Users(Users::Activate(args)) => users::activate(args).await?,
        Command::Users(Users::Delete(args)) => users::delete(args).await?,
        Command::Users(Users::EditRoles(args)) => users::edit_roles(args).await?,
        Command::Tokens(Tokens::Create(args)) => tokens::create(args).await?,
        Command::Tokens(Tokens::List(args)) => tokens::list(args).await?,
        Command::Tokens(Tokens::View(args)) => tokens::view(args).await?,
        Command::Tokens(Tokens::Remove(args)) => tokens::remove(args).await?,
        Command::Audit(Audit::List(args)) => audit::list(args).await?,
        Command::Audit(Audit::Export(args)) => audit::export(args).await?,
        Command::Templates(Templates::Push(args)) => templates::push::run(*args).await?,
        Command::Templates(Templates::List(args)) => templates::list::run(args).await?,
        Command::Templates(Templates::Show(args)) => templates::show::run(args).await?,
        Command::Templates(Templates::Delete(args)) => templates::delete::run(args).await?,
        Command::Templates(Templates::Versions(Versions::List(args))) => templates::versions::list(args).await?,
        Command::Templates(Templates::Versions(Versions::Promote(args))) => templates::versions::promote(args).await?,
        Command::Create(args) => workspaces::create::run(args).await?,
        Command::Start(args) => workspaces::build::start(args).await?,
        Command::Stop(args) => workspaces::build::stop(args).await?,
        Command::Delete(args) => workspaces::build::delete(args).await?,
        Command::List(args) => workspaces::list::run(args).await?,
        Command::Show(args) => workspaces::show::run(args).await?,
        Command::Logs(args) => workspaces::logs::run(args).await?,
        Command::Logout(args) => logout::run(args).await?,
        Command::Whoami(args) => whoami::run(args).await?,
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

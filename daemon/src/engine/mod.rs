//! Engines run jobs. What they need from the rest of the daemon is in [`Context`].

pub(crate) mod advice;
mod cache;
mod context;
mod echo;
pub(crate) mod terraform;
pub(crate) mod users;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use orgplane_proto::provisioner::v1::result::Payload;
use orgplane_proto::provisioner::v1::{Engine, JobErrorCode};

pub(crate) use self::context::Context;
use self::users::Users;
use crate::config::{Config, EngineKind, ShimCommand};
use crate::error::Error;

/// What jobs may use of the machine, fixed at start.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) shim: ShimCommand,
    pub(crate) cache_dir: PathBuf,
    pub(crate) plan_grace: Duration,
    pub(crate) apply_grace: Duration,
    pub(crate) terraform: Option<terraform::Binary>,
    pub(crate) echo: bool,
    pub(crate) server_url: String,
    /// Names or beginnings of variables that templates get of the daemon's environment.
    pub(crate) engine_env: Vec<String>,
    /// Bytes of memory that each process of an engine may have.
    pub(crate) engine_memory: Option<u64>,
    /// `None`: engines run as the daemon does.
    pub(crate) users: Option<Arc<Users>>,
}

impl Host {
    /// Finds the engines that the configuration asks for.
    pub(crate) async fn find(config: &Config) -> Result<Self, Error> {
        let terraform = if config.engines.contains(&EngineKind::Terraform) {
            terraform::Binary::find(config.terraform_path.as_deref()).await.map(Some)
        } else {
            Ok(None)
        };
        let echo = config.engines.contains(&EngineKind::Echo);
        let terraform = match terraform {
            Err(error) if echo => {
                tracing::warn!(error, "no Terraform or OpenTofu found; only the echo engine is offered");
                None
            }
            found => found.map_err(Error::NoEngine)?,
        };
        Ok(Self {
            shim: config.shim.clone(),
            cache_dir: config.cache_dir.clone(),
            plan_grace: config.intervals.plan_grace,
            apply_grace: config.intervals.apply_grace,
            terraform,
            echo,
            server_url: config.access_url.clone().unwrap_or_else(|| config.server.url.clone()),
            engine_env: config.engine_env.clone(),
            engine_memory: config.engine_memory,
            users: (!config.engine_users.is_empty()).then(|| Users::new(&config.engine_users)),
        })
    }

    /// The engines as they are registered.
    pub(crate) fn engines(&self) -> Vec<Engine> {
        let engine = |kind: EngineKind, version: String| Engine { name: kind.name().to_owned(), version };
        let terraform = self.terraform.iter().map(|b| engine(EngineKind::Terraform, b.version.to_string()));
        let echo = self.echo.then(|| engine(EngineKind::Echo, env!("CARGO_PKG_VERSION").to_owned()));
        terraform.chain(echo).collect()
    }
}

/// Why an engine ended without a result.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something about this daemon that passes, before the work had begun: the job is given back. Whatever doesn't pass
    /// fails the job, or it would come back for ever, before all others.
    Infrastructure(String),
    /// The job failed.
    Job {
        /// For people.
        error: String,
        /// For programs.
        code: JobErrorCode,
    },
    /// It was told to stop, and did before it changed anything.
    Stopped,
    /// The engine's end isn't known.
    Lost(String),
}

impl Failure {
    pub(crate) fn job(error: impl Into<String>) -> Self {
        Self::Job { error: error.into(), code: JobErrorCode::Unspecified }
    }
}

/// Runs the job with the engine that it asks for.
pub(crate) async fn run(context: &Context) -> Result<Payload, Failure> {
    let host = &context.host;
    // Whatever an earlier daemon was told, nothing more runs as this one; only an apply goes on as it was begun.
    if host.users.is_some() && context.user.is_none() && !context.job.machine().permitted() {
        return Err(Failure::Infrastructure("the job has no engine user".to_owned()));
    }
    match (context.job.assign.engine.as_str(), &host.terraform) {
        ("terraform", Some(binary)) => Box::pin(terraform::run(context, binary)).await,
        ("echo", _) if host.echo => Box::pin(echo::run(context)).await,
        (other, _) => Err(Failure::Infrastructure(format!("this daemon doesn't offer the engine {other:?}"))),
    }
}

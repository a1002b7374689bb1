//! The daemon as a whole.

use std::path::Path;

use crate::engine::Host;
use crate::engine::terraform::Binary;
use crate::files::{closed_to_others, create_own, let_through};
use crate::session::Session;
use crate::stop::Stop;
use crate::workdir::WorkDir;
use crate::{Config, Error};

/// Finds the program that a daemon would run: Terraform or OpenTofu, by its path or on PATH.
///
/// # Errors
/// [`Error::NoEngine`], which says how to get one.
pub async fn find_terraform(path: Option<&Path>) -> Result<(), Error> {
    Binary::find(path).await.map(|_| ()).map_err(Error::NoEngine)
}

/// Runs a daemon until it is told to end, or can't go on.
///
/// An unreachable server is no reason to end: the daemon tries again, with growing random waits, and its running jobs go
/// on meanwhile.
pub async fn run(config: Config, stop: impl Into<Stop>) -> Result<(), Error> {
    config.validate()?;
    let host = Host::find(&config).await?;
    create_own(&config.cache_dir).map_err(Error::io(&config.cache_dir))?;
    let work = WorkDir::open(&config.work_dir)?;
    if !config.engine_users.is_empty() {
        work.let_through()?;
        let_through(&config.cache_dir).map_err(Error::io(&config.cache_dir))?;
        for (field, path) in [("work-dir", &config.work_dir), ("cache-dir", &config.cache_dir)] {
            if let Some(closed) = closed_to_others(path) {
                let rule = format!("the engine's users can't go through {}; name another directory", closed.display());
                return Err(Error::Config { field, rule });
            }
        }
    } else if nix::unistd::geteuid().is_root() {
        tracing::warn!(
            "running as root: templates run commands with the daemon's rights; name other users with --engine-user"
        );
    }
    for engine in host.engines() {
        tracing::info!(engine = engine.name, version = engine.version, "engine found");
    }
    config.vitals.starts(config.capacity);
    // Large, and moved nowhere from here on.
    let session = Box::new(Session::new(config, host, work));
    Box::pin(session.run(stop.into())).await
}

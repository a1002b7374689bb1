//! `orgplane demo`.

use std::net::SocketAddr;

use clap::{Args, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  orgplane demo           Stays up until Ctrl-C, to look around
  orgplane demo --exit    Ends after the run: 0 if the workspace started, else 1";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Demo {
    /// End after the run instead of waiting for Ctrl-C.
    #[arg(long)]
    pub(crate) exit: bool,
    /// Where on this machine the demo's server listens; port 0 is a free one.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS", value_parser = loopback)]
    pub(crate) http_address: SocketAddr,
    /// What runs the jobs; by default Terraform or OpenTofu if found, else scripted results.
    #[arg(long, value_enum)]
    pub(crate) engine: Option<Engine>,
}

/// The demo has no TLS, and its templates run as whoever started it.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| "give it as 127.0.0.1:PORT or [::1]:PORT".to_owned())?;
    if address.ip().is_loopback() {
        return Ok(address);
    }
    Err("the demo is for this machine only: give a loopback address, such as 127.0.0.1:3000".to_owned())
}

/// A kind of engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Engine {
    /// Terraform or OpenTofu.
    Terraform,
    /// Scripted results, for tests and demonstrations.
    Echo,
}

impl From<Engine> for orgplane_daemon::EngineKind {
    fn from(engine: Engine) -> Self {
        match engine {
            Engine::Terraform => Self::Terraform,
            Engine::Echo => Self::Echo,
        }
    }
}

impl Engine {
    /// The name under which jobs ask for it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Terraform => "terraform",
            Self::Echo => "echo",
        }
    }
}

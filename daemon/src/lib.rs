//! The provisioner daemon: holds a stream to the control plane and runs the jobs that are pushed to it.
//!
//! ```text
//! session/   the stream: registration, heartbeats, what is said and heard, reconnects; bytes beside it
//! job/       one job: its phases, its numbered log lines, its run
//! engine/    what does the work: Terraform (or OpenTofu), and the scripted echo
//! exec       one engine command under its shim, seen from the daemon
//! shim/      the same, seen from the process that outlives the daemon
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod config;
mod daemon;
mod engine;
mod error;
mod exec;
mod files;
mod foreign;
mod job;
pub mod privacy;
mod session;
mod shim;
mod stop;
mod vitals;
mod workdir;

pub use config::{
    Config, ENGINE_MEMORY, EngineKind, EngineUser, Intervals, MAX_CAPACITY, Secret, ShimCommand, check_name,
    default_name,
};
pub use daemon::{find_terraform, run};
pub use engine::terraform::ENVIRONMENT;
pub use error::Error;
pub use shim::shim;
pub use stop::Stop;
pub use vitals::Vitals;

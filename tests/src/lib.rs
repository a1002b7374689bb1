//! What the end-to-end tests stand on: the real binary in processes of its own, REST and gRPC clients, daemons that are
//! real and daemons that follow a test's script. Everything waits on conditions with deadlines.
//!
//! Fixtures panic when the machine can't give them what they need: a test has nothing better to do.
#![allow(clippy::unwrap_used, clippy::expect_used)]

pub mod archive;
pub mod binary;
pub mod certificates;
pub mod cli;
pub mod coder;
pub mod daemon;
pub mod database;
pub mod deployment;
mod document;
pub mod gated;
pub mod gateway;
pub mod grpc;
pub mod postgres;
pub mod process;
pub mod proxy;
mod record;
pub mod rest;
pub mod scripted;
pub mod wait;
pub mod wire;
pub mod world;

pub use archive::Archive;
pub use binary::binary;
pub use certificates::Authority;
pub use cli::Cli;
pub use daemon::Daemon;
pub use database::{Database, Databases};
pub use deployment::{Builder, Deployment};
pub use gated::Gates;
pub use gateway::Gateway;
pub use grpc::Api;
pub use postgres::Postgres;
pub use process::Process;
pub use proxy::Proxy;
pub use rest::{Answer, Rest};
pub use scripted::Session;
pub use wait::{LONG, SHORT, eventually};
pub use wire::Wire;

/// Whether a test may use `what`. A thing that is missing skips the test, aloud, or fails it when
/// `ORGPLANE_TESTS_REQUIRE` names the thing.
///
/// # Panics
/// When the thing is missing and required.
#[must_use]
pub fn present(what: &str, found: bool) -> bool {
    if found {
        return true;
    }
    let required = std::env::var("ORGPLANE_TESTS_REQUIRE").unwrap_or_default();
    assert!(
        !required.split(',').any(|name| name.trim() == what),
        "{what} is required by ORGPLANE_TESTS_REQUIRE and isn't here"
    );
    eprintln!("skipped: {what} isn't here");
    false
}

/// Whether Terraform or OpenTofu is on PATH; see [`present`].
#[must_use]
pub fn terraform() -> bool {
    present("terraform", on_path("terraform") || on_path("tofu"))
}

/// Of Terraform and OpenTofu those that are on PATH, for what has to be shown with each; see [`present`].
#[must_use]
pub fn terraforms() -> Vec<&'static str> {
    ["terraform", "tofu"].into_iter().filter(|program| present(program, on_path(program))).collect()
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

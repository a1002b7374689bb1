//! The daemon against a scripted server on a real socket, with the echo engine and with real Terraform.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod echo;
mod fake;
mod isolation;
mod privacy;
mod session;
mod shim;
mod terraform;
mod variables;

/// Not a test: the shim's program. The daemon under test starts this file again with this test's name and the step's
/// directory as the last argument.
#[test]
fn shim_entry() {
    let Some(dir) = std::env::args_os().next_back().map(std::path::PathBuf::from) else { return };
    if dir.join("step.json").is_file() {
        std::process::exit(orgplane_daemon::shim(&dir));
    }
}

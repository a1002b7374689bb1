//! `orgplane provisioner shim`: how the daemon starts engine commands.

use std::path::Path;
use std::process::ExitCode;

pub(crate) fn run(dir: &Path) -> ExitCode {
    ExitCode::from(u8::try_from(orgplane_daemon::shim(dir)).unwrap_or(1))
}

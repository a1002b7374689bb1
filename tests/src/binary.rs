//! The program under test.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The path of `orgplane`: `ORGPLANE_BINARY`, or built once per test run into the current target directory.
///
/// # Panics
/// When it can't be built.
pub fn binary() -> PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| std::env::var_os("ORGPLANE_BINARY").map_or_else(build, PathBuf::from)).clone()
}

/// `<target>/<profile>`: a test stands below it in `deps`, a program of this crate in it.
fn profile() -> PathBuf {
    let own = std::env::current_exe().expect("own path");
    let folder = own.parent().expect("a folder");
    let profile = if folder.ends_with("deps") { folder.parent().expect("target directory") } else { folder };
    profile.to_owned()
}

/// Where the current build's files are.
///
/// # Panics
/// When this doesn't run from there.
#[must_use]
pub fn target_directory() -> PathBuf {
    profile().parent().expect("target directory").to_owned()
}

fn build() -> PathBuf {
    let profile = profile();
    let target = target_directory();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // Not quiet: a release build takes minutes, and may wait for another build of the same directory.
    command.args(["build", "--package", "orgplane", "--target-dir"]).arg(target);
    if profile.ends_with("release") {
        command.arg("--release");
    }
    let status = command.current_dir(root()).status().expect("cargo runs");
    assert!(status.success(), "orgplane doesn't build");
    profile.join("orgplane")
}

/// The repository's root.
///
/// # Panics
/// Never: the manifest stands one level below it.
#[must_use]
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// A command of the program, without what the environment would tell it.
#[must_use]
pub fn command() -> Command {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("ORGPLANE_") || text.starts_with("CODER_") {
            command.env_remove(&name);
        }
    }
    command.env("RUST_BACKTRACE", "1");
    command
}

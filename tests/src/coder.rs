//! The published `coder` CLI, unmodified, as somebody at a terminal has it.

use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::binary::target_directory;
use crate::cli::{Ended, run};
use crate::present;

/// Somebody with a configuration of their own.
#[derive(Debug)]
pub struct Coder {
    program: PathBuf,
    home: TempDir,
}

impl Coder {
    /// The program that `ORGPLANE_TEST_CODER` names, else the one that `tests/get-coder` has built; see [`present`]. Not one
    /// on PATH: another release would warn of our version.
    ///
    /// # Panics
    /// When there is no place for temporary files.
    #[must_use]
    pub fn find() -> Option<Self> {
        let given = std::env::var_os("ORGPLANE_TEST_CODER").map(PathBuf::from);
        let program = given.unwrap_or_else(|| target_directory().join("tools/coder"));
        let here = present("coder", program.is_file());
        here.then(|| Self { program, home: tempfile::tempdir().expect("a temporary folder") })
    }

    /// A command without what the environment would tell it, and without a browser.
    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(&self.program);
        let ours = |name: &OsString| ["CODER_", "ORGPLANE_"].iter().any(|p| name.to_string_lossy().starts_with(p));
        for (name, _) in std::env::vars_os().filter(|(name, _)| ours(name)) {
            command.env_remove(name);
        }
        command.env("HOME", self.home.path()).env("CODER_CONFIG_DIR", self.home.path().join("coder"));
        command.env("CODER_DISABLE_NETWORK_TELEMETRY", "true").env("CODER_NO_OPEN", "true").env("NO_COLOR", "1");
        command.args(line.split_whitespace());
        command
    }

    /// Runs a command line whose words have no spaces in them.
    ///
    /// # Panics
    /// When it can't be started, or when it doesn't take the server for one of its own.
    pub async fn run(&self, line: &str) -> Ended {
        self.given("", line).await
    }

    /// The same with something on standard input.
    ///
    /// # Panics
    /// As [`Self::run`].
    pub async fn given(&self, stdin: &str, line: &str) -> Ended {
        let file = self.home.path().join("stdin");
        std::fs::write(&file, stdin).expect("a temporary file");
        let mut command = self.command(line);
        command.stdin(Stdio::from(File::open(&file).expect("a temporary file")));
        let ended = run(command).await;
        for complaint in ["version mismatch", "not a Coder", "unexpected non-JSON", "panic:"] {
            assert!(!ended.stderr.contains(complaint), "coder {line}: {}", ended.stderr);
        }
        ended
    }

    /// What a command prints with `-o json`.
    ///
    /// # Panics
    /// When it fails or prints something else.
    pub async fn json(&self, line: &str) -> Value {
        let ended = self.run(&format!("{line} -o json")).await;
        serde_json::from_str(ended.ok()).unwrap_or_else(|error| panic!("coder {line}: {error}: {}", ended.stdout))
    }
}

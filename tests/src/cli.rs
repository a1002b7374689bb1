//! The user commands of the program, with a configuration folder of their own.

use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::binary::command;

/// Somebody at a terminal.
#[derive(Debug)]
pub struct Cli {
    url: String,
    home: TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; `None` after a signal.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it said.
    pub stderr: String,
}

impl Ended {
    /// What it printed, when it went well.
    ///
    /// # Panics
    /// When it didn't.
    #[track_caller]
    #[must_use]
    pub fn ok(&self) -> &str {
        assert_eq!(self.code, Some(0), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        &self.stdout
    }

    /// What it said, when it failed.
    ///
    /// # Panics
    /// When it went well, or panicked.
    #[track_caller]
    #[must_use]
    pub fn failed(&self) -> &str {
        assert!(!matches!(self.code, Some(0 | 101) | None), "{self:?}");
        &self.stderr
    }
}

impl Cli {
    /// For a server.
    ///
    /// # Panics
    /// When there is no place for temporary files.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self { url: url.to_owned(), home: tempfile::tempdir().expect("a temporary folder") }
    }

    /// A command with the server's URL and without a token in its environment.
    #[must_use]
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = command();
        command.args(args).env("HOME", self.home.path()).env("XDG_CONFIG_HOME", self.home.path().join("config"));
        command.env("CODER_URL", &self.url).stdin(Stdio::null());
        command
    }

    /// Runs a command.
    ///
    /// # Panics
    /// When it can't be started.
    pub async fn run(&self, args: &[&str]) -> Ended {
        run(self.command(args)).await
    }

    /// Runs a command with a token.
    ///
    /// # Panics
    /// When it can't be started.
    pub async fn run_as(&self, token: &str, args: &[&str]) -> Ended {
        let mut command = self.command(args);
        command.env("CODER_SESSION_TOKEN", token);
        run(command).await
    }
}

/// Runs any command to its end.
///
/// # Panics
/// When it can't be started.
pub async fn run(mut command: Command) -> Ended {
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("a thread");
    let Output { status, stdout, stderr } = output.expect("the command starts");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ended { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

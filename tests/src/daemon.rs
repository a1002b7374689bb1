//! A provisioner daemon: the real program in a process of its own.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::binary::command;
use crate::deployment::Deployment;
use crate::process::Process;
use crate::wait::SHORT;

/// A running daemon with a work directory of its own.
#[derive(Debug)]
pub struct Daemon {
    process: Process,
    folder: TempDir,
}

impl Daemon {
    /// Starts one with a key.
    #[must_use]
    pub fn start(deployment: &Deployment, name: &str, key: &str, engine: &str) -> Self {
        Self::start_with(deployment, name, key, engine, &[])
    }

    /// The same with further flags.
    ///
    /// # Panics
    /// When it can't be started.
    #[must_use]
    pub fn start_with(deployment: &Deployment, name: &str, key: &str, engine: &str, flags: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("orgplane-daemon-").tempdir().expect("a temporary folder");
        let mut command = daemon_command(deployment.url(), folder.path(), name, key, engine);
        command.args(flags);
        Self::run(folder, name, &mut command)
    }

    /// Starts one by a command of its own; see [`daemon_command`].
    pub fn run(folder: TempDir, name: &str, command: &mut Command) -> Self {
        Self { process: Process::start(name, command), folder }
    }

    /// Kills it, and nothing that it started.
    ///
    /// # Panics
    /// When it doesn't die.
    pub async fn kill(&mut self) {
        self.process.signal(Signal::SIGKILL);
        self.process.exit(SHORT).await;
    }

    /// Starts one in the same folder after the end of this one, by a command of its own.
    pub fn start_again(&mut self, name: &str, command: &mut Command) {
        self.process = Process::start(name, command);
    }

    /// The directory of its newest job, if it has one.
    ///
    /// # Panics
    /// Where files have no time of creation.
    #[must_use]
    pub fn job(&self) -> Option<PathBuf> {
        let jobs = std::fs::read_dir(self.jobs()).ok()?;
        let assigned = jobs.flatten().filter(|job| job.path().join("assign").exists());
        let newest = assigned.max_by_key(|job| job.metadata().and_then(|about| about.created()).expect("a time"));
        newest.map(|job| job.path())
    }

    /// The processes that work for its jobs, itself aside, as they stand below one another: a shim, its engine, and so on.
    ///
    /// # Panics
    /// Where there is no `/proc`.
    #[must_use]
    pub fn workers(&self) -> Vec<Pid> {
        let jobs = self.jobs();
        let within = |pid: &i32| std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(&jobs));
        let entries = std::fs::read_dir("/proc").expect("the processes").flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let mut pids: Vec<_> = pids.filter(within).map(Pid::from_raw).collect();
        // One that is started later has a greater number, until numbers come round.
        pids.sort_by_key(|pid| (started(*pid), *pid));
        pids
    }

    fn jobs(&self) -> PathBuf {
        self.folder().join("work/jobs")
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// The folder with its key, work directory and cache.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// When a process was started, in the kernel's ticks.
fn started(pid: Pid) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    after_name.split(' ').nth(19).and_then(|ticks| ticks.parse().ok()).unwrap_or_default()
}

/// The command of a daemon whose files stand in `folder`.
///
/// # Panics
/// When the key file can't be written.
pub fn daemon_command(url: &str, folder: &Path, name: &str, key: &str, engine: &str) -> Command {
    let key_file = folder.join("key");
    let mut file = std::fs::OpenOptions::new();
    let mut file = file.create(true).write(true).truncate(true).mode(0o600).open(&key_file).expect("the key file");
    writeln!(file, "{key}").expect("the key file");
    let mut command = keyless_command(url, folder, name, engine);
    command.arg("--key-file").arg(&key_file);
    command
}

/// The same without a key.
#[must_use]
pub fn keyless_command(url: &str, folder: &Path, name: &str, engine: &str) -> Command {
    let mut command = command();
    command.args(["provisioner", "start", "--url", url, "--name", name, "--engine", engine]);
    command.arg("--work-dir").arg(folder.join("work")).arg("--cache-dir").arg(folder.join("cache"));
    command
}

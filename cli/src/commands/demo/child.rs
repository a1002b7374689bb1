//! The demo's processes: this program again, in process groups of their own, so that Ctrl-C reaches only the demo and
//! they end in order, and also when the demo is killed. No secret is on a command line.

use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid, getppid};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::args::Engine;

const READY: Duration = Duration::from_secs(60);
const READY_LINE: &str = "Orgplane is ready at ";
/// From the request to end to the kill.
const PATIENCE: Duration = Duration::from_secs(15);
const LAST_LINES: usize = 15;

/// `orgplane server`.
pub(crate) struct Server {
    process: Process,
    stdout: Option<BufReader<ChildStdout>>,
}

impl Server {
    pub(crate) fn start(folder: &Path, address: SocketAddr) -> Result<Self> {
        let mut command = own_program()?;
        command.args(["server", "--provisioner-daemons", "0"]).arg("--data-dir").arg(folder.join("server"));
        command.arg("--http-address").arg(address.to_string());
        command.stdout(Stdio::piped());
        let mut process = Process::start("the server", command, folder.join("server.log"), Signal::SIGTERM)?;
        let stdout = process.child.stdout.take().map(BufReader::new);
        Ok(Self { process, stdout })
    }

    /// Waits until it is ready, and returns its URL.
    pub(crate) async fn ready(&mut self) -> Result<String> {
        let Some(stdout) = &mut self.stdout else { bail!("the server has no output") };
        let mut line = String::new();
        match timeout(READY, stdout.read_line(&mut line)).await {
            Ok(read) => read.context("can't read the server's output")?,
            Err(_) => bail!("the server isn't ready after {} s{}", READY.as_secs(), self.process.last_words()),
        };
        match line.trim().strip_prefix(READY_LINE) {
            Some(url) => Ok(url.to_owned()),
            None => Err(self.process.failed().await),
        }
    }

    pub(crate) async fn failed(&mut self) -> anyhow::Error {
        self.process.failed().await
    }

    /// Waits for its end and says so.
    pub(crate) async fn ended(&mut self) -> String {
        self.process.failed().await.to_string()
    }

    pub(crate) async fn end(self) {
        self.process.end().await;
    }
}

/// `orgplane provisioner start`.
pub(crate) struct Daemon(Process);

impl Daemon {
    pub(crate) fn start(folder: &Path, url: &str, key: &str, engine: Engine) -> Result<Self> {
        let mut command = own_program()?;
        command.args(["provisioner", "start", "--name", "demo", "--url", url]);
        command.args(["--engine", engine.name()]);
        command.arg("--work-dir").arg(folder.join("daemon")).arg("--cache-dir").arg(folder.join("cache"));
        command.env("ORGPLANE_PROVISIONER_DAEMON_KEY", key).stdout(Stdio::null());
        // Its jobs are interrupted.
        let process = Process::start("the provisioner daemon", command, folder.join("daemon.log"), Signal::SIGINT);
        Ok(Self(process?))
    }

    pub(crate) async fn failed(&mut self) -> anyhow::Error {
        self.0.failed().await
    }

    /// Waits for the end of the one that was started and says so.
    pub(crate) async fn ended(daemon: &mut Option<Self>) -> String {
        match daemon {
            Some(daemon) => daemon.failed().await.to_string(),
            None => std::future::pending().await,
        }
    }

    pub(crate) async fn end(self) {
        self.0.end().await;
    }
}

/// This program, without the settings of whoever runs the demo.
fn own_program() -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("can't find this program's file")?);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("ORGPLANE_") || name.starts_with("CODER_")) {
            command.env_remove(name);
        }
    }
    Ok(command)
}

struct Process {
    what: &'static str,
    child: Child,
    log: PathBuf,
    /// What ends it.
    signal: Signal,
}

impl Process {
    fn start(what: &'static str, mut command: Command, log: PathBuf, signal: Signal) -> Result<Self> {
        let file = File::create(&log).with_context(|| format!("can't create {}", log.display()))?;
        command.stdin(Stdio::null()).stderr(file).process_group(0).kill_on_drop(true);
        end_with_this_thread(command.as_std_mut(), signal);
        let child = command.spawn().with_context(|| format!("can't start {what}"))?;
        Ok(Self { what, child, log, signal })
    }

    /// Waits for the process to end, which it shouldn't do by itself.
    async fn failed(&mut self) -> anyhow::Error {
        match self.child.wait().await {
            Ok(status) => anyhow!("{} ended by itself ({status}){}", self.what, self.last_words()),
            Err(error) => anyhow!("can't wait for {}: {error}", self.what),
        }
    }

    /// The end of its log.
    fn last_words(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
        last.iter().map(|line| format!("\n  {line}")).collect()
    }

    async fn end(mut self) {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(id) = id {
            // It may be gone already, which is as well.
            let _ = kill(Pid::from_raw(id), self.signal);
        }
        if timeout(PATIENCE, self.child.wait()).await.is_err() {
            tracing::warn!("{} doesn't end and is killed", self.what);
            let _ = self.child.kill().await;
        }
    }
}

/// The child gets the signal when the thread that starts it ends, however that comes; the demo runs on the main one.
fn end_with_this_thread(command: &mut std::process::Command, signal: Signal) {
    let parent = getpid();
    let arrange = move || {
        set_pdeathsig(signal)?;
        // It may be too late for a signal already.
        if getppid() == parent { Ok(()) } else { Err(std::io::ErrorKind::NotConnected.into()) }
    };
    // SAFETY: between fork and exec only system calls are made: nothing is allocated and no lock is taken.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(arrange);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn children_end_with_whoever_started_them() {
        let start = || {
            let mut command = std::process::Command::new("sleep");
            // Not SIGINT: a shell has its background jobs, and so these tests, ignore it.
            end_with_this_thread(command.arg("60"), Signal::SIGTERM);
            command.spawn().unwrap()
        };
        let mut child = std::thread::spawn(start).join().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(Signal::SIGTERM as i32));
    }
}

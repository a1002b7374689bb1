//! A PostgreSQL server of a test's own, which the test may restart.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nix::unistd::{User, chown, geteuid};
use tempfile::TempDir;

use crate::present;

/// A running server; it ends with this.
#[derive(Debug)]
pub struct Postgres {
    folder: TempDir,
    programs: PathBuf,
    port: u16,
}

impl Postgres {
    /// Starts one where its programs are; see [`present`].
    ///
    /// # Panics
    /// When it doesn't start.
    #[must_use]
    pub fn start() -> Option<Self> {
        let wanted = std::env::var_os("ORGPLANE_TESTS_NO_POSTGRES").is_none();
        let programs = programs().filter(|_| wanted);
        if !present("postgres", programs.is_some()) {
            return None;
        }
        let folder = tempfile::Builder::new().prefix("orgplane-postgres-").tempdir().expect("a temporary folder");
        let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let server = Self { folder, programs: programs?, port: free.expect("a free port").port() };
        if let Some(user) = user() {
            chown(server.folder.path(), Some(user.uid), Some(user.gid)).expect("its folder");
        }
        let data = ["--username", "postgres", "--encoding", "UTF8", "--locale", "C", "--auth", "trust", "--no-sync"];
        server.run("initdb", &data);
        let place = server.folder.path().display();
        let options = format!("-p {} -k {place} -c listen_addresses=127.0.0.1 -c max_connections=100", server.port);
        server.run("pg_ctl", &["--wait", "--log", "log", "--options", &options, "start"]);
        Some(server)
    }

    /// An administrator's URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Ends it without warning anybody, as a crash does, and starts it again.
    ///
    /// # Panics
    /// When it doesn't start again.
    pub fn restart(&self) {
        self.run("pg_ctl", &["--wait", "--log", "log", "--mode", "immediate", "restart"]);
    }

    fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.arg("--pgdata").arg(self.folder.path().join("data")).args(args);
        command.current_dir(self.folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some(user) = user() {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        command
    }

    fn run(&self, program: &str, args: &[&str]) {
        let status = self.command(program, args).status().expect("PostgreSQL's programs");
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        assert!(status.success(), "{program}: {status}\n{log}");
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = self.command("pg_ctl", &["--wait", "--mode", "immediate", "stop"]).status();
    }
}

/// It refuses to run as root.
fn user() -> Option<User> {
    if geteuid().is_root() { User::from_name("postgres").expect("the system's users") } else { None }
}

/// The folder of Debian's newest, or of what is on PATH.
fn programs() -> Option<PathBuf> {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<_> = debian.map(|entry| entry.path().join("bin")).collect();
    folders.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path: Vec<_> = std::env::split_paths(&path).collect();
    folders.into_iter().rev().chain(path).find(|folder| folder.join("initdb").is_file())
}

//! What a shim that was killed leaves running: an engine that nobody hears, and that nobody could tell from the next one
//! over the same state.
//!
//! A shim that lives ends its engine's group and all its descendants. One that was killed does nothing, and the kernel
//! remembers no parent of what it left; numbers of processes and groups, had they been written down, might be another's by
//! the time they are read, surely after a container was started again. So the engine carries a mark in its environment,
//! which its children inherit, and whoever finds the shim dead kills what has it. That is no loss: without its pipes,
//! Terraform dies of the next line it prints, also of the one with which it answers an interrupt, and its state is on disk
//! after each resource.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// In the environment of everything that is run for a step: the step's directory.
pub(super) const MARK: &str = "ORGPLANE_STEP";
/// So long a killed process may take to go.
const PATIENCE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(5);

/// Kills what the step's shim, which is dead, left running, until nothing of it is left. Blocks.
pub(crate) fn kill_remnants(dir: &Path) -> io::Result<()> {
    let mark = [MARK.as_bytes(), b"=", dir.as_os_str().as_bytes()].concat();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut found = None;
        for process in marked(&mark) {
            let _ = kill(process, Signal::SIGKILL);
            found = Some(process);
        }
        match found {
            None => return Ok(()),
            Some(process) if Instant::now() > deadline => {
                return Err(io::Error::other(format!("process {process} of the engine can't be killed")));
            }
            Some(_) => thread::sleep(POLL),
        }
    }
}

/// The processes with the mark; one that has ended has no environment any more.
fn marked(mark: &[u8]) -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(move |entry| {
        let number = entry.file_name().to_str()?.parse().ok()?;
        let environment = fs::read(entry.path().join("environ")).ok()?;
        environment.split(|byte| *byte == 0).any(|variable| variable == mark).then(|| Pid::from_raw(number))
    })
}

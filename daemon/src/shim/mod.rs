//! The shim: a small process of its own that stands between the daemon and one engine command, and outlives the daemon.
//!
//! Terraform dies within seconds when the pipe it prints into breaks. So the shim holds the other end of its pipes, in a
//! session of its own, and reads them always; the daemon reads what the shim wrote down. Everything the two say to each
//! other goes through the step's directory, so that a daemon that starts later can go on in the place of one that died.
//!
//! | file | written by | |
//! |---|---|---|
//! | `step.json` | daemon | what to run (0600: the environment may hold secrets) |
//! | `control` | daemon | a FIFO; `interrupt <ms>`: SIGINT to the engine's group now, SIGKILL after so long |
//! | `alive` | shim | locked as long as it lives |
//! | `records` | shim | what the engine printed, see [`record`] |
//! | `stdout` | shim | the engine's standard output, where the step wants it whole |
//! | `exit.json` | shim | how the engine ended; appears whole, as the last thing |
//!
//! The shim's own standard output is a doorbell: a byte says that `records` grew. It never blocks on it.

mod process;
pub(crate) mod record;
mod remnants;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub(crate) use self::remnants::kill_remnants;
use crate::files::{private_file, write_private};
use crate::foreign;

pub(crate) const STEP: &str = "step.json";
pub(crate) const CONTROL: &str = "control";
pub(crate) const RECORDS: &str = "records";
pub(crate) const STDOUT: &str = "stdout";
pub(crate) const EXIT: &str = "exit.json";
const ALIVE: &str = "alive";
/// Its environment may be long.
const MAX_STEP: u64 = 16 * 1024 * 1024;

/// One engine command.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Step {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<String>,
    pub(crate) cwd: PathBuf,
    /// The whole environment.
    pub(crate) env: BTreeMap<String, String>,
    /// User and group to run it as; those of the shim where `None`.
    pub(crate) user: Option<(u32, u32)>,
    /// Standard output goes whole into a file instead of line by line into the records.
    pub(crate) capture: bool,
    /// Bytes that the records, and a captured output, may have.
    pub(crate) limit: u64,
    /// Bytes of memory that each of its processes may have.
    #[serde(default)]
    pub(crate) memory: Option<u64>,
}

/// How an engine command ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Exit {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    /// It couldn't be started, and why.
    pub(crate) error: Option<String>,
    /// It printed more than was kept.
    pub(crate) truncated: bool,
}

impl Exit {
    pub(crate) fn success(&self) -> bool {
        self.code == Some(0)
    }
}

/// Runs the step in the directory and returns the exit code for the process: 0 when the engine's end, whatever it was,
/// is written down. This is the whole of the hidden subcommand that [`crate::ShimCommand`] names.
#[must_use]
pub fn shim(dir: &Path) -> i32 {
    // Refused only for a process that leads a group already; then it has left the daemon's anyway.
    let _ = nix::unistd::setsid();
    let outcome = take_over(dir).and_then(|(_alive, step)| {
        process::be_limited(step.memory);
        let exit = process::run(dir, &step).unwrap_or_else(|error| Exit {
            code: None,
            signal: None,
            error: Some(format!("{}: {error}", step.program.display())),
            truncated: false,
        });
        let json = serde_json::to_vec(&exit).map_err(std::io::Error::other)?;
        write_private(&dir.join(EXIT), &json)
    });
    i32::from(outcome.is_err())
}

fn take_over(dir: &Path) -> std::io::Result<(fs::File, Step)> {
    let alive = life(dir)?;
    alive.try_lock().map_err(std::io::Error::other)?;
    let step = serde_json::from_slice(&fs::read(dir.join(STEP))?).map_err(std::io::Error::other)?;
    Ok((alive, step))
}

/// Whether the step was begun, by this daemon or an earlier one. Its shim may not have come to life.
pub(crate) fn has_begun(dir: &Path) -> bool {
    dir.join(STEP).exists()
}

/// The first step among these, if one was begun.
pub(crate) fn first_step(steps: &Path) -> Option<Step> {
    let mut dirs: Vec<_> = fs::read_dir(steps).ok()?.flatten().map(|entry| entry.path()).collect();
    dirs.sort();
    serde_json::from_slice(&foreign::read(&dirs.first()?.join(STEP), MAX_STEP).ok()?).ok()
}

/// What a shim keeps locked as long as it lives. Who has the lock keeps any later one from running.
pub(crate) fn life(dir: &Path) -> std::io::Result<fs::File> {
    private_file(&dir.join(ALIVE))
}

/// Whether it is written down how the engine ended.
pub(crate) fn has_ended(dir: &Path) -> bool {
    dir.join(EXIT).exists()
}

/// Whether a shim still runs in the directory.
pub(crate) fn is_alive(dir: &Path) -> bool {
    let Ok(file) = foreign::open(&dir.join(ALIVE)) else { return false };
    matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock))
}

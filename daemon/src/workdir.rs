//! The work directory: one daemon's at a time, with its instance id and a directory for each job.
//!
//! A later start of the daemon doesn't take a running job over yet: it leaves the directories of engines that still run
//! and of jobs that were permitted to change things where they are, warns of them, and removes the others. A job's
//! directory holds: `assign` (the assignment as it
//! came), `logs` (the numbered lines), `permitted` (there from the apply permit on), `result`, `work` (where the engine
//! runs) and `steps` (one directory per engine command, see [`crate::shim`]).

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::files::{create_own, create_private, let_through, private_file, write_private};
use crate::{Error, foreign, shim};

/// The file that a job's directory has from the apply permit on.
pub(crate) const PERMITTED: &str = "permitted";
/// The folder of a job's directory in which its engine runs.
pub(crate) const WORK: &str = "work";

/// The locked directory; unlocked when dropped.
#[derive(Debug)]
pub(crate) struct WorkDir {
    path: PathBuf,
    instance: Uuid,
    _lock: File,
}

impl WorkDir {
    /// Takes the directory for this process, creating what is missing, and removes what dead jobs left. A state that
    /// may not have been handed in stays.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let jobs = path.join("jobs");
        create_own(path).map_err(Error::io(path))?;
        create_own(&jobs).map_err(Error::io(&jobs))?;
        let lock_path = path.join("lock");
        let lock = private_file(&lock_path).map_err(Error::io(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(Error::WorkDirLocked(path.to_owned())),
            Err(fs::TryLockError::Error(source)) => return Err(Error::Io { path: lock_path, source }),
        }
        let instance = instance_id(&path.join("instance"))?;
        sweep(&jobs);
        Ok(Self { path: path.to_owned(), instance, _lock: lock })
    }

    /// Lets engines of other users to the directories of their jobs, whose names they have to know.
    pub(crate) fn let_through(&self) -> Result<(), Error> {
        for path in [&self.path, &self.path.join("jobs")] {
            let_through(path).map_err(Error::io(path))?;
        }
        Ok(())
    }

    /// Random; stays with the directory.
    pub(crate) fn instance(&self) -> Uuid {
        self.instance
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A fresh directory for one run of a job.
    pub(crate) fn create_job(&self, job: Uuid, attempt: u32) -> std::io::Result<PathBuf> {
        let path = self.path.join("jobs").join(format!("{job}.{attempt}"));
        match fs::remove_dir_all(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        create_private(&path.join(WORK))?;
        create_private(&path.join("steps"))?;
        // What is in it is closed; so is it itself unless the directories above it are open.
        let_through(&path)?;
        Ok(path)
    }
}

fn instance_id(path: &Path) -> Result<Uuid, Error> {
    if let Ok(bytes) = foreign::read(path, 100)
        && let Ok(id) = String::from_utf8_lossy(&bytes).trim().parse()
    {
        return Ok(id);
    }
    let id = Uuid::new_v4();
    write_private(path, id.to_string().as_bytes()).map_err(Error::io(path))?;
    Ok(id)
}

/// Removes the directories of earlier jobs, save those whose engine still runs.
fn sweep(jobs: &Path) {
    for entry in fs::read_dir(jobs).into_iter().flatten().flatten() {
        let path = entry.path();
        let steps = fs::read_dir(path.join("steps")).into_iter().flatten().flatten();
        if steps.into_iter().any(|step| shim::is_alive(&step.path())) {
            tracing::warn!(directory = %path.display(), "an engine of an earlier daemon still runs; left alone");
        } else if path.join(PERMITTED).exists() {
            tracing::warn!(directory = %path.display(), "an earlier daemon applied here and didn't hand in the end; kept");
        } else if let Err(error) = fs::remove_dir_all(&path) {
            tracing::warn!(directory = %path.display(), %error, "can't remove what an earlier job left");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_daemon_at_a_time_and_one_instance() {
        let dir = tempfile::tempdir().unwrap();
        let first = WorkDir::open(dir.path()).unwrap();
        let job = first.create_job(Uuid::new_v4(), 1).unwrap();
        assert!(matches!(WorkDir::open(dir.path()), Err(Error::WorkDirLocked(_))));
        let instance = first.instance();
        drop(first);
        let second = WorkDir::open(dir.path()).unwrap();
        assert_eq!(second.instance(), instance);
        assert!(!job.exists(), "a dead job's directory is removed");
    }
}

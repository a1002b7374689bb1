//! The work directory: one daemon's at a time, with its instance id and a directory for each job.
//!
//! A later daemon goes on with the unfinished jobs that it finds there; what it needs for that is in a job's directory (see
//! [`crate::job::record`]) and, for all of them, in `terms`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use orgplane_proto::provisioner::v1::Assign;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use uuid::Uuid;

use crate::files::{create_own, create_private, let_through, make_empty, private_file, write_private};
use crate::job::instant;
use crate::job::record::Record;
use crate::job::terms::Terms;
use crate::{Error, foreign, shim};

/// In a job's directory: the template as it came.
pub(crate) const ARCHIVE: &str = "archive.tar";
/// In a job's directory: where its engine runs, and its commands.
pub(crate) const WORK: &str = "work";
pub(crate) const STEPS: &str = "steps";
/// How long leases are good for; its time is that of their last renewal.
const TERMS: &str = "terms";

#[derive(Serialize, Deserialize)]
struct Kept {
    lease: Duration,
    apply_lease: Duration,
    log_limit: u64,
}

/// The locked directory; unlocked when dropped.
#[derive(Debug)]
pub(crate) struct WorkDir {
    path: PathBuf,
    instance: Uuid,
    _lock: File,
}

impl WorkDir {
    /// Takes the directory for this process, creating what is missing.
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

    /// The unfinished jobs of earlier daemons, with their directories. What others left is removed, save what runs or may
    /// hold a state that wasn't handed in. Blocks.
    pub(crate) fn unfinished(&self) -> Vec<(PathBuf, Assign)> {
        let mut found = Vec::new();
        for entry in fs::read_dir(self.path.join("jobs")).into_iter().flatten().flatten() {
            let path = entry.path();
            let record = Record(&path);
            if let Some(assign) = record.unfinished() {
                found.push((path, assign));
                continue;
            }
            let steps = fs::read_dir(path.join(STEPS)).into_iter().flatten().flatten();
            if steps.into_iter().any(|step| shim::is_alive(&step.path())) {
                tracing::warn!(directory = %path.display(), "an engine of an earlier job still runs; left alone");
            } else if record.is_permitted() {
                tracing::warn!(directory = %path.display(), "an earlier job may have left a state here; kept");
            } else if let Err(error) = fs::remove_dir_all(&path) {
                tracing::warn!(directory = %path.display(), %error, "can't remove what an earlier job left");
            }
        }
        found
    }

    /// The terms of the leases, as an earlier daemon last knew them.
    pub(crate) fn terms(&self) -> Option<Terms> {
        let path = self.path.join(TERMS);
        let kept: Kept = serde_json::from_slice(&foreign::read(&path, 1000).ok()?).ok()?;
        let renewed = fs::metadata(&path).and_then(|about| about.modified()).map_or_else(|_| Instant::now(), instant);
        let Kept { lease, apply_lease, log_limit } = kept;
        Some(Terms { renewed, lease, apply_lease, log_limit })
    }

    /// Keeps the terms of leases that were renewed just now. Blocks.
    pub(crate) fn keep_terms(path: &Path, terms: Terms) {
        let Terms { lease, apply_lease, log_limit, .. } = terms;
        let json = serde_json::to_vec(&Kept { lease, apply_lease, log_limit }).unwrap_or_default();
        if let Err(error) = write_private(&path.join(TERMS), &json) {
            tracing::warn!(%error, "can't keep the terms of leases; after a restart they count as lapsed");
        }
    }

    /// A fresh directory for one run of a job.
    pub(crate) fn create_job(&self, job: Uuid, attempt: u32) -> std::io::Result<PathBuf> {
        let path = self.path.join("jobs").join(format!("{job}.{attempt}"));
        make_empty(&path)?;
        create_private(&path.join(WORK))?;
        create_private(&path.join(STEPS))?;
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
        assert!(second.unfinished().is_empty());
        assert!(!job.exists(), "a dead job's directory is removed");
    }
}

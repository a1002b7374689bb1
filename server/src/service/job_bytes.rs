//! Bytes beside a daemon's stream: what a job needs, and what it hands in.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::spool::{Spool, Spooled};
use super::{Caller, Service};
use crate::domain::error::{Kind, ProtocolFault};
use crate::domain::id::JobId;
use crate::domain::job::Hold;
use crate::domain::{Error, Result};
use crate::store;

/// Bytes of a file that a job hands in.
const UPLOAD: u64 = 100 * 1024 * 1024;
/// Uploads at a time; others wait.
const UPLOADS: usize = 16;
/// An upload of which nothing comes for this long is given up: others wait for its place.
const IDLE: Duration = Duration::from_secs(30);

/// Bounds uploads: one at a time of each job, and not too many in all.
#[derive(Debug)]
pub(super) struct Uploads {
    all: Arc<Semaphore>,
    jobs: Mutex<HashMap<JobId, Arc<Semaphore>>>,
}

impl Default for Uploads {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(UPLOADS)), jobs: Mutex::default() }
    }
}

impl Uploads {
    /// Waits for its turn.
    async fn turn(&self, job: JobId) -> Result<(OwnedSemaphorePermit, OwnedSemaphorePermit)> {
        let own = {
            let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
            jobs.retain(|_, turns| Arc::strong_count(turns) > 1);
            jobs.entry(job).or_insert_with(|| Arc::new(Semaphore::new(1))).clone()
        };
        // The job's first: an upload that waits for another of its job must not take a place.
        let own = own.acquire_owned().await.map_err(Error::internal)?;
        let place = self.all.clone().acquire_owned().await.map_err(Error::internal)?;
        Ok((own, place))
    }
}

impl Service {
    /// Checks that the caller's daemon has the job, and that the bytes are the job's.
    ///
    /// # Errors
    /// [`Error::LeaseLost`], or [`Error::NotFound`] for bytes of another job.
    pub async fn download(&self, caller: &Caller, hold: &Hold, sha256: &str) -> Result<()> {
        self.check_lease(caller, hold).await?;
        if store::assignment::refers(&self.store, hold, sha256).await? {
            Ok(())
        } else {
            Err(Error::NotFound(Kind::File))
        }
    }

    /// A piece of a file, by its place; `None` after the last.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database can't be reached.
    pub async fn blob_chunk(&self, sha256: &str, position: i32) -> Result<Option<Vec<u8>>> {
        store::blob::chunk(&self.store, sha256, position).await
    }

    /// Stores bytes of a job that the caller's daemon has, if they are what their sender said.
    ///
    /// # Errors
    /// [`Error::LeaseLost`], [`Error::TooLarge`], [`ProtocolFault::Digest`], or what the stream gives.
    pub async fn upload<S>(&self, caller: &Caller, hold: &Hold, sha256: &str, size: u64, mut pieces: S) -> Result<()>
    where
        S: Stream<Item = Result<Vec<u8>>> + Send + Unpin,
    {
        if size > UPLOAD {
            return Err(Error::TooLarge { what: "The upload", limit: "100 MiB" });
        }
        self.check_lease(caller, hold).await?;
        let _turn = self.uploads.turn(hold.job).await?;
        let mut spool = Spool::new().await?;
        let idle = |_| {
            let rule = format!("must come within {} s", IDLE.as_secs());
            Error::Protocol(ProtocolFault::Field { field: "data", rule })
        };
        while let Some(piece) = timeout(IDLE, pieces.next()).await.map_err(idle)? {
            let piece = piece?;
            if spool.size() + piece.len() as u64 > size {
                return Err(Error::Protocol(ProtocolFault::Digest));
            }
            spool.write(&piece).await?;
        }
        let spooled: Spooled = spool.finish().await?;
        if spooled.size != size || spooled.sha256 != sha256 {
            return Err(Error::Protocol(ProtocolFault::Digest));
        }
        self.check_lease(caller, hold).await?;
        let tx = self.store.begin().await?;
        store::blob::insert_from(&tx, sha256, size, spooled.file).await?;
        store::job_upload::insert(&tx, hold.job, sha256).await?;
        tx.commit().await
    }

    async fn check_lease(&self, caller: &Caller, hold: &Hold) -> Result<()> {
        let key = caller.daemon()?;
        let organization = store::assignment::organization_of(&self.store, hold).await?;
        if organization == Some(key.organization_id) { Ok(()) } else { Err(Error::LeaseLost(hold.job)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_job_uploads_one_at_a_time_and_all_jobs_so_many() {
        let uploads = Uploads::default();
        let (one, other) = (JobId::new(), JobId::new());
        let waits = async |job| timeout(Duration::from_millis(20), uploads.turn(job)).await.is_err();
        let first = uploads.turn(one).await.unwrap();
        assert!(waits(one).await);
        assert!(!waits(other).await);
        drop(first);
        assert!(!waits(one).await);
        let mut turns = Vec::new();
        for _ in 0..UPLOADS {
            turns.push(uploads.turn(JobId::new()).await.unwrap());
        }
        assert!(waits(one).await);
        turns.pop();
        assert!(!waits(one).await);
        assert!(uploads.jobs.lock().unwrap().len() <= UPLOADS + 1, "ended jobs are forgotten");
    }
}

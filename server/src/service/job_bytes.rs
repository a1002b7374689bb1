//! Bytes beside a daemon's stream: what a job needs, and what it hands in.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::spool::{Spool, Spooled};
use super::{Caller, Service};
use crate::domain::error::{Kind, ProtocolFault};
use crate::domain::id::{JobId, OrganizationId};
use crate::domain::job::Hold;
use crate::domain::{Error, Result};
use crate::store;

/// Bytes of a file that a job hands in.
const UPLOAD: u64 = 100 * 1024 * 1024;
/// Uploads at a time; others wait.
const UPLOADS: usize = 16;
/// The same of one organization: it leaves places to others.
const OF_ORGANIZATION: usize = 8;
/// An upload of which nothing comes for this long is given up: others wait for its place.
const IDLE: Duration = Duration::from_secs(30);
/// The same for one that comes, but takes this long in all. Daemons begin anew before that.
const IN_ALL: Duration = Duration::from_secs(12 * 60);

/// Bounds uploads: one at a time of each job, and not too many of an organization or in all.
#[derive(Debug)]
pub(super) struct Uploads {
    all: Arc<Semaphore>,
    organizations: Places<OrganizationId>,
    jobs: Places<JobId>,
}

impl Default for Uploads {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(UPLOADS)), organizations: Places::default(), jobs: Places::default() }
    }
}

impl Uploads {
    /// Waits for its turn.
    async fn turn(&self, organization: OrganizationId, job: JobId) -> Result<[OwnedSemaphorePermit; 3]> {
        // The narrowest first: an upload that waits for another of its job must not take a place.
        let own = self.jobs.one(job, 1).await?;
        let of_organization = self.organizations.one(organization, OF_ORGANIZATION).await?;
        let place = self.all.clone().acquire_owned().await.map_err(Error::internal)?;
        Ok([own, of_organization, place])
    }
}

/// Places of each of many, for as long as they are used or waited for.
#[derive(Debug)]
struct Places<K>(Mutex<HashMap<K, Arc<Semaphore>>>);

impl<K> Default for Places<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> Places<K> {
    /// Waits for one of so many places.
    async fn one(&self, of: K, count: usize) -> Result<OwnedSemaphorePermit> {
        let places = {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            known.retain(|_, places| Arc::strong_count(places) > 1);
            known.entry(of).or_insert_with(|| Arc::new(Semaphore::new(count))).clone()
        };
        places.acquire_owned().await.map_err(Error::internal)
    }
}

/// Takes the pieces of an upload, and no more of them than its size.
async fn receive<S>(size: u64, mut pieces: S) -> Result<Spooled>
where
    S: Stream<Item = Result<Vec<u8>>> + Send + Unpin,
{
    let mut spool = Spool::new().await?;
    let late = |rule| Error::Protocol(ProtocolFault::Field { field: "data", rule });
    let end = Instant::now() + IN_ALL;
    let mut idle = Instant::now() + IDLE;
    while let Some(piece) = timeout_at(idle.min(end), pieces.next()).await.map_err(|_| {
        let within = if idle < end { IDLE } else { IN_ALL };
        late(format!("must come within {} s", within.as_secs()))
    })? {
        let piece = piece?;
        if spool.size() + piece.len() as u64 > size {
            return Err(Error::Protocol(ProtocolFault::Digest));
        }
        // An empty one is no sign of life.
        if !piece.is_empty() {
            spool.write(&piece).await?;
            idle = Instant::now() + IDLE;
        }
    }
    spool.finish().await
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
    pub async fn upload<S>(&self, caller: &Caller, hold: &Hold, sha256: &str, size: u64, pieces: S) -> Result<()>
    where
        S: Stream<Item = Result<Vec<u8>>> + Send + Unpin,
    {
        if size > UPLOAD {
            return Err(Error::TooLarge { what: "The upload", limit: "100 MiB" });
        }
        self.check_lease(caller, hold).await?;
        let _turn = self.uploads.turn(caller.daemon()?.organization_id, hold.job).await?;
        let spooled = receive(size, pieces).await?;
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
    use futures_util::stream;
    use tokio::time::{sleep, timeout};

    use super::*;

    #[tokio::test]
    async fn a_job_uploads_one_at_a_time_and_all_jobs_so_many() {
        let uploads = Uploads::default();
        let (one, other) = (JobId::new(), JobId::new());
        let mine = OrganizationId::new();
        let waits = async |organization, job| {
            timeout(Duration::from_millis(20), uploads.turn(organization, job)).await.is_err()
        };
        let first = uploads.turn(mine, one).await.unwrap();
        assert!(waits(mine, one).await);
        assert!(!waits(mine, other).await);
        drop(first);
        assert!(!waits(mine, one).await);
        let mut turns = Vec::new();
        for _ in 0..OF_ORGANIZATION {
            turns.push(uploads.turn(mine, JobId::new()).await.unwrap());
        }
        assert!(waits(mine, one).await, "its organization has its share");
        assert!(!waits(OrganizationId::new(), one).await, "others have theirs");
        for _ in OF_ORGANIZATION..UPLOADS {
            turns.push(uploads.turn(OrganizationId::new(), JobId::new()).await.unwrap());
        }
        assert!(waits(OrganizationId::new(), one).await);
        turns.pop();
        assert!(!waits(OrganizationId::new(), one).await);
        assert!(uploads.jobs.0.lock().unwrap().len() <= UPLOADS + 1, "ended jobs are forgotten");
        assert!(uploads.organizations.0.lock().unwrap().len() <= UPLOADS + 1, "and who has none");
    }

    /// How long an upload is taken of which a piece of so many bytes comes every so often.
    async fn taken(bytes: usize, every: Duration) -> (Duration, String) {
        let pieces = stream::unfold((), |()| async move {
            sleep(every).await;
            Some((Ok(vec![0; bytes]), ()))
        });
        let start = Instant::now();
        let given_up = receive(UPLOAD, Box::pin(pieces)).await.err().unwrap();
        (start.elapsed(), given_up.to_string())
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_that_takes_too_long_is_given_up() {
        let seconds = Duration::from_secs;
        let (after, says) = taken(0, seconds(1)).await;
        assert!(after <= seconds(31), "nothing comes: {after:?}");
        assert!(says.contains("30 s"), "{says}");
        let (after, says) = taken(1, seconds(20)).await;
        assert!(after <= seconds(721), "next to nothing comes: {after:?}");
        assert!(says.contains("720 s"), "{says}");
    }
}

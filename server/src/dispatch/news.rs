//! What clients follow as it happens. Each server looks at all of it together: at once when it has written something
//! itself, every so often for what other servers write. Followers read only when there is something new for them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::domain::error::chain;
use crate::domain::id::{JobId, WorkspaceId};
use crate::domain::job::LogStanding;
use crate::domain::workspace::Mark;
use crate::domain::{Error, Result};

/// Streams that one server has open at a time.
const MAX_FOLLOWERS: usize = 4096;
/// How often is looked for what other servers wrote.
const POLL_INTERVAL: Duration = Duration::from_millis(400);
/// Between two looks, however much happens.
const PAUSE: Duration = Duration::from_millis(20);

/// Everything that is followed on this server.
#[derive(Debug)]
pub struct News {
    /// Logs.
    pub logs: Followed<JobId, LogStanding>,
    /// Workspaces.
    pub workspaces: Followed<WorkspaceId, Mark>,
    /// Ends every stream: the server stops.
    pub stop: CancellationToken,
    free: Arc<Semaphore>,
}

impl Default for News {
    fn default() -> Self {
        Self {
            logs: Followed::default(),
            workspaces: Followed::default(),
            stop: CancellationToken::new(),
            free: Arc::new(Semaphore::new(MAX_FOLLOWERS)),
        }
    }
}

impl News {
    /// Room for one more stream, for as long as the permit lives.
    ///
    /// # Errors
    /// [`Error::Crowded`] when there is none.
    pub fn admit(&self) -> Result<OwnedSemaphorePermit> {
        self.free.clone().try_acquire_owned().map_err(|_| Error::Crowded)
    }

    /// Jobs have changed: call it after the commit.
    pub fn jobs_changed(&self) {
        self.logs.wake();
        self.workspaces.wake();
    }
}

/// Things that are followed by key, and where each stands: nothing until it was looked at.
#[derive(Debug)]
pub struct Followed<K, S> {
    entries: Mutex<BTreeMap<K, watch::Sender<Option<S>>>>,
    work: Notify,
}

impl<K, S> Default for Followed<K, S> {
    fn default() -> Self {
        Self { entries: Mutex::default(), work: Notify::new() }
    }
}

impl<K: Copy + Ord, S: PartialEq> Followed<K, S> {
    /// Tells where a thing stands from now on, at first what is known already; closed when it is gone.
    pub fn follow(&self, key: K) -> watch::Receiver<Option<S>> {
        let mut receiver = self.lock().entry(key).or_insert_with(|| watch::Sender::new(None)).subscribe();
        if receiver.borrow().is_some() {
            receiver.mark_changed();
        }
        self.work.notify_one();
        receiver
    }

    /// Looks at everything that is followed soon.
    pub fn wake(&self) {
        if !self.lock().is_empty() {
            self.work.notify_one();
        }
    }

    /// The same if this is followed.
    pub fn changed(&self, key: &K) {
        if self.lock().contains_key(key) {
            self.work.notify_one();
        }
    }

    /// Keeps looking until stopped. What `look` doesn't find is gone.
    pub(crate) async fn run<F>(&self, look: impl Fn(Vec<K>) -> F, stop: CancellationToken)
    where
        F: Future<Output = Result<Vec<(K, S)>>>,
    {
        let mut failing = false;
        loop {
            let keys = self.keys();
            if !keys.is_empty() {
                match look(keys.clone()).await {
                    Ok(found) => {
                        failing = false;
                        self.publish(&keys, found);
                    }
                    Err(error) if !failing => {
                        failing = true;
                        tracing::warn!(error = %chain(&error), "can't look for news of what clients follow");
                    }
                    Err(_) => {}
                }
            }
            let next = async {
                sleep(PAUSE).await;
                tokio::select! {
                    () = self.work.notified() => {}
                    () = sleep(POLL_INTERVAL), if !keys.is_empty() => {}
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = next => {}
            }
        }
    }

    /// What still has followers.
    fn keys(&self) -> Vec<K> {
        let mut entries = self.lock();
        entries.retain(|_, sender| sender.receiver_count() > 0);
        entries.keys().copied().collect()
    }

    fn publish(&self, asked: &[K], found: Vec<(K, S)>) {
        let mut found: BTreeMap<K, S> = found.into_iter().collect();
        let mut entries = self.lock();
        for key in asked {
            match found.remove(key) {
                Some(standing) => {
                    if let Some(sender) = entries.get(key) {
                        sender.send_if_modified(|known| {
                            let news = known.as_ref() != Some(&standing);
                            if news {
                                *known = Some(standing);
                            }
                            news
                        });
                    }
                }
                None => drop(entries.remove(key)),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<K, watch::Sender<Option<S>>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn followers_hear_what_was_found_and_nobody_looks_for_nobody() {
        let live = Arc::new(Followed::<i32, i32>::default());
        let world = Arc::new(Mutex::new((0_u32, BTreeMap::from([(1, 10), (2, 20)]))));
        let stop = CancellationToken::new();
        let task = tokio::spawn({
            let (live, world, stop) = (live.clone(), world.clone(), stop.clone());
            async move {
                let look = |keys: Vec<i32>| {
                    let mut world = world.lock().unwrap();
                    world.0 += 1;
                    let found = keys.into_iter().filter_map(|key| Some((key, *world.1.get(&key)?))).collect();
                    std::future::ready(Ok(found))
                };
                live.run(look, stop).await;
            }
        });
        live.wake();
        sleep(Duration::from_secs(60)).await;
        assert_eq!(world.lock().unwrap().0, 0, "nothing is followed");

        let (mut one, mut gone) = (live.follow(1), live.follow(3));
        one.changed().await.unwrap();
        assert_eq!(*one.borrow_and_update(), Some(10));
        assert!(gone.changed().await.is_err(), "there is no 3");
        world.lock().unwrap().1.insert(1, 11);
        tokio::time::timeout(POLL_INTERVAL * 2, one.changed()).await.expect("the poll finds it").unwrap();
        assert_eq!(*one.borrow_and_update(), Some(11));
        let mut again = live.follow(1);
        again.changed().await.expect("what is known is news to it");
        assert_eq!(*again.borrow(), Some(11));

        drop((one, again, gone));
        sleep(Duration::from_secs(1)).await;
        let looks = world.lock().unwrap().0;
        sleep(Duration::from_secs(60)).await;
        assert_eq!(world.lock().unwrap().0, looks, "nothing is followed any more");
        stop.cancel();
        task.await.unwrap();
    }
}

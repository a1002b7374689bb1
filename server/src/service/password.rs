//! Password hashes: argon2id, off the runtime's threads and few at a time, because each takes 19 MiB and a core. The threads
//! are their own: an allocator keeps such a piece of memory for each thread that ever asked for one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use tokio::sync::{OnceCell, Semaphore, oneshot};

use crate::domain::secret::Secret;
use crate::domain::{Error, Result};

/// Hashes computed at the same time.
const AT_ONCE: usize = 2;
/// Calls that may wait for theirs, a few seconds' work; more are turned away.
const WAITING: usize = 64;
/// Bytes of a password that are looked at; no password that could be set is longer.
const LONGEST: usize = 1024;

/// Makes and checks hashes.
#[derive(Debug)]
pub(super) struct Passwords {
    places: Arc<Semaphore>,
    /// To the threads, which end with it.
    work: Sender<Work>,
    /// Of a random password: checked where there is no hash, so that the time doesn't tell who exists.
    decoy: OnceCell<String>,
}

type Work = Box<dyn FnOnce() + Send>;

impl Default for Passwords {
    fn default() -> Self {
        let (work, taken) = channel();
        let taken = Arc::new(Mutex::new(taken));
        for _ in 0..AT_ONCE {
            let taken = taken.clone();
            std::thread::spawn(move || do_all(&taken));
        }
        Self { places: Arc::new(Semaphore::new(AT_ONCE + WAITING)), work, decoy: OnceCell::new() }
    }
}

fn do_all(work: &Mutex<Receiver<Work>>) {
    loop {
        let next = work.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(next) = next else { return };
        // Who waits for it hears that it is gone.
        let _ = catch_unwind(AssertUnwindSafe(next));
    }
}

impl Passwords {
    /// The hash in PHC form.
    ///
    /// # Errors
    /// [`Error::Busy`] when too many wait already, [`Error::Internal`] when the system gives no randomness or memory.
    pub(super) async fn hash(&self, password: Secret) -> Result<String> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| Error::Busy)?;
        self.run(move || {
            let _place = place;
            hash(&password)
        })
        .await
    }

    /// Whether the hash is of this password. Takes as long where there is no hash.
    ///
    /// # Errors
    /// [`Error::Busy`] when too many wait already, [`Error::Internal`] when the stored hash is damaged.
    pub(super) async fn verify(&self, password: Secret, hash: Option<String>) -> Result<bool> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| Error::Busy)?;
        let real = hash.is_some();
        let hash = match hash {
            Some(hash) => hash,
            None => self.decoy().await?,
        };
        let fits = password.len() <= LONGEST;
        let password = if fits { password } else { Secret::default() };
        let matches = self.run(move || {
            let _place = place;
            let hash = PasswordHash::new(&hash).map_err(|error| Error::internal(error.to_string()))?;
            Ok(Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
        });
        Ok(matches.await? && real && fits)
    }

    async fn decoy(&self) -> Result<String> {
        let random = Secret::from(uuid::Uuid::new_v4().to_string());
        self.decoy.get_or_try_init(|| self.run(move || hash(&random))).await.cloned()
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let (done, result) = oneshot::channel();
        let work = move || {
            // Nobody waits for what its caller gave up.
            if !done.is_closed() {
                let _ = done.send(work());
            }
        };
        self.work.send(Box::new(work)).map_err(|_| Error::internal("the threads for passwords have ended"))?;
        result.await.map_err(Error::internal)?
    }
}

fn hash(password: &Secret) -> Result<String> {
    let hash = Argon2::default().hash_password(password.as_bytes());
    hash.map(|hash| hash.to_string()).map_err(|error| Error::internal(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_password_itself_matches() {
        let passwords = Passwords::default();
        let secret = |text: &str| Secret::from(text);
        let hash = passwords.hash(secret("tR0ub4dor&3")).await.unwrap();
        assert!(hash.starts_with("$argon2id$"));
        assert_ne!(passwords.hash(secret("tR0ub4dor&3")).await.unwrap(), hash);
        assert!(passwords.verify(secret("tR0ub4dor&3"), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify(secret("tR0ub4dor&4"), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify(secret(""), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify(secret(&"x".repeat(LONGEST + 1)), Some(hash)).await.unwrap());
        assert!(!passwords.verify(secret("tR0ub4dor&3"), None).await.unwrap());
        assert!(passwords.verify(secret("x"), Some("damaged".to_owned())).await.is_err());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_flood_is_turned_away_and_passes() {
        let passwords = Arc::new(Passwords::default());
        let mut flood = tokio::task::JoinSet::new();
        for _ in 0..2 * WAITING {
            let passwords = passwords.clone();
            flood.spawn(async move { passwords.verify("x".into(), None).await });
        }
        let results = flood.join_all().await;
        assert!(results.iter().all(|result| matches!(result, Ok(false) | Err(Error::Busy))));
        assert!(results.iter().filter(|result| result.is_ok()).count() >= WAITING);
        assert!(results.iter().any(Result::is_err));
        assert!(!passwords.verify("x".into(), None).await.unwrap());
    }
}

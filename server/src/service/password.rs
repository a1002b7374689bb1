//! Password hashes: argon2id, off the runtime's threads and few at a time, because each takes 19 MiB and a core. They have
//! threads of their own, each with one piece of that memory: given back and asked for again on any thread, an allocator keeps
//! several of them for each.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
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

type Work = Box<dyn FnOnce(&mut Vec<Block>) + Send>;

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
    let mut memory = Vec::new();
    loop {
        let next = work.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(next) = next else { return };
        // Who waits for it hears that it is gone.
        let _ = catch_unwind(AssertUnwindSafe(|| next(&mut memory)));
    }
}

impl Passwords {
    /// The hash in PHC form.
    ///
    /// # Errors
    /// [`Error::Busy`] when too many wait already, [`Error::Internal`] when the system gives no randomness or memory.
    pub(super) async fn hash(&self, password: Secret) -> Result<String> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| Error::Busy)?;
        self.run(move |memory| {
            let _place = place;
            hash(&password, memory)
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
        let matches = self.run(move |memory| {
            let _place = place;
            matches(&password, &hash, memory).map_err(|error| Error::internal(error.to_string()))
        });
        Ok(matches.await? && real && fits)
    }

    async fn decoy(&self) -> Result<String> {
        let random = Secret::from(uuid::Uuid::new_v4().to_string());
        self.decoy.get_or_try_init(|| self.run(move |memory| hash(&random, memory))).await.cloned()
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Vec<Block>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (done, result) = oneshot::channel();
        let work = move |memory: &mut Vec<Block>| {
            // Nobody waits for what its caller gave up.
            if !done.is_closed() {
                let _ = done.send(work(memory));
            }
        };
        self.work.send(Box::new(work)).map_err(|_| Error::internal("the threads for passwords have ended"))?;
        result.await.map_err(Error::internal)?
    }
}

fn hash(password: &Secret, memory: &mut Vec<Block>) -> Result<String> {
    let (algorithm, version, params, salt) = (Algorithm::Argon2id, Version::V0x13, Params::DEFAULT, Salt::generate());
    let made = || -> argon2::password_hash::Result<_> {
        let params_text = ParamsString::try_from(&params)?;
        let output = output(password, &salt, Argon2::new(algorithm, version, params), memory)?;
        let (algorithm, version) = (algorithm.ident(), Some(version.into()));
        Ok(PasswordHash { algorithm, version, params: params_text, salt: Some(salt), hash: Some(output) }.to_string())
    };
    made().map_err(|error| Error::internal(error.to_string()))
}

/// Whether a hash in PHC form is of this password.
fn matches(password: &Secret, hash: &str, memory: &mut Vec<Block>) -> argon2::password_hash::Result<bool> {
    let hash = PasswordHash::new(hash)?;
    let (Some(salt), Some(expected)) = (hash.salt, hash.hash) else { return Ok(false) };
    let algorithm = Algorithm::try_from(hash.algorithm.as_str())?;
    let version = hash.version.map(Version::try_from).transpose()?.unwrap_or_default();
    let argon2 = Argon2::new(algorithm, version, Params::try_from(&hash)?);
    // Takes as long wherever they differ.
    Ok(output(password, &salt, argon2, memory)? == expected)
}

fn output(
    password: &Secret,
    salt: &Salt,
    argon2: Argon2<'_>,
    memory: &mut Vec<Block>,
) -> argon2::password_hash::Result<Output> {
    let params = argon2.params();
    let mut bytes = vec![0; params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN)];
    memory.resize(params.block_count(), Block::default());
    argon2.hash_password_into_with_memory(password.as_bytes(), salt, &mut bytes, memory)?;
    Ok(Output::new(&bytes)?)
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

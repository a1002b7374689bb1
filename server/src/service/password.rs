//! Password hashes: argon2id, off the runtime's threads and few at a time, because each takes 19 MiB and a core.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use tokio::sync::{OnceCell, Semaphore};
use zeroize::Zeroizing;

use crate::domain::{Error, Result};

/// Hashes computed at the same time.
const AT_ONCE: usize = 2;
/// Bytes of a password that are looked at; no password that could be set is longer.
const LONGEST: usize = 1024;

/// Makes and checks hashes.
#[derive(Debug)]
pub(super) struct Passwords {
    permits: Arc<Semaphore>,
    /// Of a random password: checked where there is no hash, so that the time doesn't tell who exists.
    decoy: OnceCell<String>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { permits: Arc::new(Semaphore::new(AT_ONCE)), decoy: OnceCell::new() }
    }
}

impl Passwords {
    /// The hash in PHC form.
    ///
    /// # Errors
    /// [`Error::Internal`] when the system gives no randomness or memory.
    pub(super) async fn hash(&self, password: Zeroizing<String>) -> Result<String> {
        self.run(move || {
            let hash = Argon2::default().hash_password(password.as_bytes());
            hash.map(|hash| hash.to_string()).map_err(|error| Error::internal(error.to_string()))
        })
        .await?
    }

    /// Whether the hash is of this password. Takes as long where there is no hash.
    ///
    /// # Errors
    /// [`Error::Internal`] when the stored hash is damaged.
    pub(super) async fn verify(&self, password: Zeroizing<String>, hash: Option<String>) -> Result<bool> {
        let real = hash.is_some();
        let hash = match hash {
            Some(hash) => hash,
            None => self.decoy().await?,
        };
        let fits = password.len() <= LONGEST;
        let password = if fits { password } else { Zeroizing::new(String::new()) };
        let matches = self.run(move || {
            let hash = PasswordHash::new(&hash).map_err(|error| Error::internal(error.to_string()))?;
            Ok::<bool, Error>(Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
        });
        Ok(matches.await?? && real && fits)
    }

    async fn decoy(&self) -> Result<String> {
        let random = || Zeroizing::new(uuid::Uuid::new_v4().to_string());
        self.decoy.get_or_try_init(|| self.hash(random())).await.cloned()
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let permit = self.permits.clone().acquire_owned().await.map_err(Error::internal)?;
        // The permit goes along: a caller that gives up doesn't free the core.
        let task = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(permit);
            result
        });
        task.await.map_err(Error::internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_password_itself_matches() {
        let passwords = Passwords::default();
        let secret = |text: &str| Zeroizing::new(text.to_owned());
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
}

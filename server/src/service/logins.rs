//! Failed sign-ins, so that nobody tries all passwords. What is counted is an account from an address: whoever fails from
//! elsewhere keeps nobody out. Each server counts for itself, and forgets when it ends.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use super::Caller;
use crate::domain::email;
use crate::domain::rate::{Failures, Recent, place};

/// Accounts from addresses that are remembered.
const MOST: usize = 50_000;

/// An account, whether or not there is one, from an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Account([u8; 32], Option<IpAddr>);

/// Those that failed.
#[derive(Debug)]
pub(super) struct Logins {
    failures: Mutex<Recent<Account, Failures>>,
    begun: Instant,
}

impl Default for Logins {
    fn default() -> Self {
        Self { failures: Mutex::new(Recent::new(MOST)), begun: Instant::now() }
    }
}

impl Logins {
    /// Which account a call is about. The addresses of accounts may be long, so they aren't kept.
    pub(super) fn account(&self, caller: &Caller, email: &str) -> Account {
        Account(Sha256::digest(email::canonical(email)).into(), caller.address.map(place))
    }

    /// How long to wait before the next try.
    pub(super) fn wait(&self, account: &Account) -> Option<Duration> {
        let now = self.begun.elapsed();
        self.lock().known(account)?.wait(now)
    }

    /// The password was wrong.
    pub(super) fn failed(&self, account: Account) {
        let now = self.begun.elapsed();
        self.lock().of(account).add(now);
    }

    /// The password was right.
    pub(super) fn succeeded(&self, account: &Account) {
        self.lock().forget(account);
    }

    fn lock(&self) -> MutexGuard<'_, Recent<Account, Failures>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! What one user may have at a time of something that all share, so that nobody takes all of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::id::UserId;
use crate::domain::{Error, Result};

/// What users have taken.
#[derive(Debug)]
pub(super) struct Shares {
    what: &'static str,
    each: usize,
    taken: Mutex<BTreeMap<UserId, usize>>,
}

/// One that is taken, until it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    of: Arc<Shares>,
    user: UserId,
}

impl Shares {
    /// So many for each user, called as `what` says.
    pub(super) fn new(what: &'static str, each: usize) -> Arc<Self> {
        Arc::new(Self { what, each, taken: Mutex::default() })
    }

    /// One more.
    ///
    /// # Errors
    /// [`Error::TooMany`] when the user has all that they may.
    pub(super) fn take(self: &Arc<Self>, user: UserId) -> Result<Share> {
        let mut taken = self.lock();
        let own = taken.entry(user).or_default();
        if *own >= self.each {
            return Err(Error::TooMany { what: self.what, limit: self.each });
        }
        *own += 1;
        Ok(Share { of: self.clone(), user })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<UserId, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.of.lock();
        if let Some(own) = taken.get_mut(&self.user) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_user_has_so_many_and_no_more() {
        let shares = Shares::new("things", 2);
        let (ann, bob) = (UserId::new(), UserId::new());
        let first = shares.take(ann).unwrap();
        let second = shares.take(ann).unwrap();
        let refused = shares.take(ann).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "You have 2 things at a time already, which is the limit; try again when one has ended."
        );
        let other = shares.take(bob).unwrap();
        drop(first);
        let third = shares.take(ann).unwrap();
        drop((second, third, other));
        assert!(shares.lock().is_empty(), "who has none isn't remembered");
    }
}

//! Leases: a daemon's right to a job.

use sea_orm::DeriveValueType;

use crate::domain::Timestamp;

/// Names one lease; can't be guessed, so that only who was given it can write under it.
#[derive(Clone, PartialEq, Eq, Hash, DeriveValueType)]
pub struct LeaseId(pub String);

impl LeaseId {
    /// A fresh one.
    #[must_use]
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self(format!("{:032x}", rand::random::<u128>()))
    }
}

impl std::fmt::Debug for LeaseId {
    /// Enough to tell them apart.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LeaseId({}…)", self.0.get(..6).unwrap_or_default())
    }
}

/// What a job remembers of the lease that it is under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Its id.
    pub id: LeaseId,
    /// When changing things was permitted, if it was.
    pub permitted_at: Option<Timestamp>,
}

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

    /// One as [`Self::new`] makes them; any other text never was a lease.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let hex = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
        (text.len() == 32 && text.as_bytes().iter().all(hex)).then(|| Self(text.to_owned()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_made_is_parsed() {
        let made = LeaseId::new();
        assert_eq!(LeaseId::parse(&made.0), Some(made));
        for bad in ["", "0", &"0".repeat(31), &"0".repeat(33), &"A".repeat(32), &"\0".repeat(32), &"é".repeat(16)] {
            assert_eq!(LeaseId::parse(bad), None, "{bad:?}");
        }
    }
}

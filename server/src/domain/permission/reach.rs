//! How far somebody may do something: what lists are narrowed to, in the database and not after it.

use std::collections::BTreeSet;

use super::{Action, Object, Resource, Subject, allowed};
use crate::domain::id::{OrganizationId, UserId};

/// The objects of a kind that a subject may do something to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// All of them.
    All,
    /// Those in some organizations, and their own.
    Some {
        /// All of these organizations.
        whole: BTreeSet<OrganizationId>,
        /// Their own in these.
        own: BTreeSet<OrganizationId>,
        /// Who they are.
        user: UserId,
    },
}

/// How far a subject may do this.
#[must_use]
pub fn reach(subject: &Subject, action: Action, resource: Resource) -> Reach {
    if allowed(subject, action, &Object::site(resource)) {
        return Reach::All;
    }
    let member_of = || subject.organizations.keys().copied();
    let whole = |id: &_| allowed(subject, action, &Object::of(resource, *id));
    let own = |id: &_| allowed(subject, action, &Object::of(resource, *id).owned_by(subject.user_id));
    Reach::Some {
        whole: member_of().filter(whole).collect(),
        own: member_of().filter(own).collect(),
        user: subject.user_id,
    }
}

impl Reach {
    /// The organizations in which it reaches everything; `None` for all.
    #[must_use]
    pub fn whole(&self) -> Option<&BTreeSet<OrganizationId>> {
        match self {
            Self::All => None,
            Self::Some { whole, .. } => Some(whole),
        }
    }
}

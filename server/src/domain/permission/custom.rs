//! What a role of an organization's making is to grant, as clients write it.

use std::collections::BTreeSet;

use super::catalogue::{Action, Resource};
use super::is_grantable;
use crate::domain::rule::Violations;

/// Permissions that one role is asked to have; there are fewer that it can have.
const MOST: usize = 200;
const FIELD: &str = "organization_permissions";

/// A permission in a client's words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// Takes away instead, which roles of an organization's making can't.
    pub negate: bool,
    /// To what.
    pub resource: String,
    /// What.
    pub action: String,
}

/// What becomes of permissions that no role of an organization can grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// They are the request's fault.
    Refused,
    /// They are left out: a client hands back what it once read from a newer server.
    Dropped,
}

impl Wanted {
    /// What these come down to; notes those that can't be.
    #[must_use]
    pub fn read(all: &[Self], unknown: Unknown, violations: &mut Violations) -> BTreeSet<(Resource, Action)> {
        if all.len() > MOST {
            violations.add(FIELD, format!("must be at most {MOST}"));
            return BTreeSet::new();
        }
        let mut read = BTreeSet::new();
        for (place, Self { negate, resource, action }) in all.iter().enumerate() {
            let field = format!("{FIELD}[{place}]");
            let pair = Resource::named(resource).zip(Action::named(action));
            if *negate {
                violations.add(field, "must not be negated: custom roles only grant");
            } else if resource == "*" || action == "*" {
                violations.add(field, "must name one resource type and one action, not `*`");
            } else if let Some(pair) = pair.filter(|(resource, action)| is_grantable(*resource, *action)) {
                read.insert(pair);
            } else if unknown == Unknown::Refused {
                violations.add(field, format!("{resource}:{action} isn't something that a custom role can grant"));
            }
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Error;

    fn read(wanted: &[(bool, &str, &str)], unknown: Unknown) -> (usize, Vec<String>) {
        let wanted = wanted.iter().map(|(negate, resource, action)| Wanted {
            negate: *negate,
            resource: (*resource).to_owned(),
            action: (*action).to_owned(),
        });
        let mut violations = Violations::default();
        let read = Wanted::read(&wanted.collect::<Vec<_>>(), unknown, &mut violations);
        let broken = match violations.finish() {
            Err(Error::Invalid(all)) => all.into_iter().map(|one| one.field).collect(),
            _ => Vec::new(),
        };
        (read.len(), broken)
    }

    #[test]
    fn what_a_custom_role_can_grant() {
        let update = (false, "template", "update");
        for unknown in [Unknown::Refused, Unknown::Dropped] {
            assert_eq!(read(&[], unknown), (0, vec![]));
            assert_eq!(read(&[update, update, (false, "workspace", "read")], unknown), (2, vec![]));
            for bad in [(true, "template", "update"), (false, "*", "read"), (false, "template", "*")] {
                assert_eq!(read(&[update, bad], unknown), (1, vec!["organization_permissions[1]".to_owned()]));
            }
            assert_eq!(read(&vec![update; MOST + 1], unknown), (0, vec!["organization_permissions".to_owned()]));
        }
        let strange = [
            ("moon", "read"),
            ("template", "walk"),
            ("template", "assign"),
            ("", ""),
            ("user", "read"),
            ("organization", "create"),
            ("api_key", "read"),
        ];
        for (resource, action) in strange {
            let wanted = [update, (false, resource, action)];
            assert_eq!(read(&wanted, Unknown::Refused), (1, vec!["organization_permissions[1]".to_owned()]));
            assert_eq!(read(&wanted, Unknown::Dropped), (1, vec![]), "{resource}:{action}");
        }
    }
}

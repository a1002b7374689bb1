//! Which part of a list is asked for.

use super::rule::Violations;

/// What a bounded list gives when nothing is said.
const DEFAULT: u64 = 50;
/// What a list gives at most.
const MOST: u64 = 1000;
/// Ids that a list can be narrowed to.
const IDS: usize = 100;

/// The limit of a list that has one always; 0 is the default.
#[must_use]
pub fn bounded(limit: i32, violations: &mut Violations) -> u64 {
    match u64::try_from(limit) {
        Ok(0) => DEFAULT,
        Ok(limit) if limit <= MOST => limit,
        Ok(_) | Err(_) => {
            violations.add("limit", format!("must be 0 to {MOST}"));
            DEFAULT
        }
    }
}

/// The ids that a list is narrowed to.
#[must_use]
pub fn ids<T>(texts: &[String], parse: impl Fn(&str) -> Option<T>, violations: &mut Violations) -> Vec<T> {
    if texts.len() > IDS {
        violations.add("ids", format!("must be at most {IDS}"));
        return Vec::new();
    }
    let ids: Option<Vec<_>> = texts.iter().map(|id| parse(id)).collect();
    if ids.is_none() {
        violations.add("ids", "must be UUIDs");
    }
    ids.unwrap_or_default()
}

/// A part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Page {
    limit: u32,
    offset: u32,
}

impl Page {
    /// From a request's members; notes those that are negative.
    #[must_use]
    pub fn parse(limit: i32, offset: i32, violations: &mut Violations) -> Self {
        let mut at_least_0 = |field: &str, number: i32| {
            u32::try_from(number).unwrap_or_else(|_| {
                violations.add(field, "must be 0 or more");
                0
            })
        };
        Self { limit: at_least_0("limit", limit), offset: at_least_0("offset", offset) }
    }

    /// At most so many; who asks for more, or for all, asks again for what follows.
    #[must_use]
    pub fn limit(self) -> u64 {
        if self.limit == 0 { MOST } else { MOST.min(u64::from(self.limit)) }
    }

    /// Without the first so many.
    #[must_use]
    pub fn offset(self) -> u64 {
        u64::from(self.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_page_is_endless() {
        let limit = |given| {
            let mut violations = Violations::default();
            (Page::parse(given, 0, &mut violations).limit(), violations.finish().is_ok())
        };
        assert_eq!(limit(7), (7, true));
        assert_eq!(limit(0), (MOST, true));
        assert_eq!(limit(i32::MAX), (MOST, true));
        assert!(!limit(-1).1);
    }
}

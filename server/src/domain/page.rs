//! Which part of a list is asked for.

use super::rule::Violations;

/// What a bounded list gives when nothing is said.
const DEFAULT: u64 = 50;
/// What it gives at most.
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

    /// At most so many; as many as a database can give when nothing limits them.
    #[must_use]
    pub fn limit(self) -> u64 {
        // An offset needs a limit on SQLite, which takes it as a signed number.
        if self.limit == 0 { i64::MAX as u64 } else { u64::from(self.limit) }
    }

    /// Without the first so many.
    #[must_use]
    pub fn offset(self) -> u64 {
        u64::from(self.offset)
    }
}

//! Which part of a list is asked for.

use super::rule::Violations;

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

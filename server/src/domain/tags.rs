//! Tags: which daemons may take which jobs.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use sea_orm::DeriveValueType;

use super::id::UserId;
use super::rule::{Rule, is_hidden};

/// The tag that says whether daemons serve the whole organization or one user.
pub const SCOPE: &str = "scope";
/// The tag that says which user, where the scope is one; else it is empty.
pub const OWNER: &str = "owner";

const ORGANIZATION: &str = "organization";
const USER: &str = "user";

/// A normalised set of tags; always has `scope` and `owner`. As a column it is JSON sorted by key, so that equal sets are
/// equal texts and an index over the text is one over the sets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, DeriveValueType)]
#[sea_orm(value_type = "String")]
pub struct Tags(BTreeMap<String, String>);

impl Tags {
    /// The tags of a daemon: its key's, for the whole organization.
    #[must_use]
    pub fn of_key(tags: &BTreeMap<String, String>) -> Self {
        let mut own = without_empty(tags);
        own.insert(SCOPE.to_owned(), ORGANIZATION.to_owned());
        own.insert(OWNER.to_owned(), String::new());
        Self(own)
    }

    /// The tags of a job, from those that were asked for. Scope `user` means this user's daemons; anything else the
    /// organization's.
    #[must_use]
    pub fn of_job(tags: &BTreeMap<String, String>, user: UserId) -> Self {
        let mut own = without_empty(tags);
        let for_user = own.get(SCOPE).is_some_and(|scope| scope == USER);
        own.insert(SCOPE.to_owned(), if for_user { USER } else { ORGANIZATION }.to_owned());
        own.insert(OWNER.to_owned(), if for_user { user.to_string() } else { String::new() });
        Self(own)
    }

    /// The tags as they are.
    #[must_use]
    pub fn as_map(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// Whether all of `wanted` are among them.
    #[must_use]
    pub fn contains(&self, wanted: &BTreeMap<String, String>) -> bool {
        wanted.iter().all(|(name, value)| self.0.get(name) == Some(value))
    }

    /// How many tags these have that `job` doesn't ask for.
    #[must_use]
    pub fn extra(&self, job: &Self) -> usize {
        self.0.keys().filter(|name| !job.0.contains_key(*name)).count()
    }

    /// Nothing was asked for: only the organization's own tags.
    fn is_plain(&self) -> bool {
        self.0.len() == 2
            && self.0.get(SCOPE).is_some_and(|scope| scope == ORGANIZATION)
            && self.0.get(OWNER).is_some_and(String::is_empty)
    }
}

/// Bytes of all names and values together: jobs are found by their tags through an index, whose entries are bounded.
const MAX_SIZE: usize = 2000;

/// Tags that may be asked for.
///
/// # Errors
/// The broken rule.
pub fn requested(tags: &BTreeMap<String, String>) -> Rule {
    // Stored tags are looked for as texts: without these, a member can't be seen inside another.
    let plain = |c: char| !is_hidden(c) && c != '"' && c != '\\';
    let fits = |text: &str| text.len() <= 256 && text.chars().all(plain);
    let is_name = |text: &str| !text.is_empty() && !text.starts_with([',', ':', '}']) && fits(text);
    let size: usize = tags.iter().map(|(name, value)| name.len() + value.len()).sum();
    if tags.len() <= 64 && size <= MAX_SIZE && tags.iter().all(|(name, value)| is_name(name) && fits(value)) {
        Ok(())
    } else {
        Err(
            "must be at most 64 and 2000 bytes in all, each with a name that doesn't begin with a comma, colon or brace, names and values of at \
             most 256 bytes without quotes, backslashes and invisible characters",
        )
    }
}

/// An empty value is no tag.
fn without_empty(tags: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    tags.iter().filter(|(_, value)| !value.is_empty()).map(|(n, v)| (n.clone(), v.clone())).collect()
}

/// Whether a daemon with these tags may take a job with those. Jobs that ask for nothing go to daemons that offer
/// nothing; all others to daemons that have at least what the job asks for.
#[must_use]
pub fn job_matches(job: &Tags, daemon: &Tags) -> bool {
    if job.is_plain() { job == daemon } else { daemon.contains(&job.0) }
}

impl fmt::Display for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A map of texts always is JSON.
        f.write_str(&serde_json::to_string(&self.0).unwrap_or_default())
    }
}

impl FromStr for Tags {
    type Err = serde_json::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        serde_json::from_str(text).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(tags: &[(&str, &str)]) -> BTreeMap<String, String> {
        tags.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn a_job_goes_where_its_tags_say() {
        let (a, b) = (UserId::new(), UserId::new());
        let org = |tags: &[(&str, &str)]| Tags::of_key(&map(tags));
        let user = |id: UserId, tags: &[(&str, &str)]| {
            let mut tags = map(tags);
            tags.insert(SCOPE.into(), USER.into());
            Tags::of_job(&tags, id)
        };
        let env = ("env", "on-prem");
        let table = [
            (org(&[]), org(&[]), true),
            (org(&[env]), org(&[env]), true),
            (org(&[env, ("dc", "x")]), org(&[env]), true),
            (org(&[env, ("dc", "x")]), org(&[env, ("dc", "x")]), true),
            (user(a, &[]), user(a, &[]), true),
            (user(a, &[env]), user(a, &[]), true),
            (user(a, &[env]), user(a, &[env]), true),
            (org(&[]), org(&[env]), false),
            (org(&[env]), org(&[]), false),
            (org(&[env]), org(&[env, ("dc", "x")]), false),
            (org(&[env, ("dc", "y")]), org(&[env, ("dc", "x")]), false),
            (user(a, &[]), org(&[]), false),
            (user(a, &[env]), org(&[env]), false),
            (user(a, &[]), user(b, &[]), false),
            (org(&[]), user(a, &[]), false),
            (org(&[env]), user(a, &[env]), false),
        ];
        for (daemon, job, may) in table {
            assert_eq!(job_matches(&job, &daemon), may, "daemon {daemon}, job {job}");
        }
    }

    #[test]
    fn normalising_sets_scope_and_owner_and_drops_empty_values() {
        let user = UserId::new();
        assert_eq!(Tags::of_key(&map(&[])).to_string(), r#"{"owner":"","scope":"organization"}"#);
        assert_eq!(Tags::of_job(&map(&[("scope", "everything"), ("x", "")]), user), Tags::of_key(&map(&[])));
        assert_eq!(Tags::of_key(&map(&[("scope", "user"), ("owner", "me")])), Tags::of_key(&map(&[])));
        let own = Tags::of_job(&map(&[("scope", "user"), ("owner", "somebody else")]), user);
        assert_eq!(own.as_map()[OWNER], user.to_string());
    }

    #[test]
    fn what_may_be_asked_for() {
        assert_eq!(requested(&map(&[("region", "eu west"), ("größe", "{1,2}")])), Ok(()));
        for (name, value) in [("", "x"), ("a\"b", "x"), ("a", "\\"), (",", ":"), ("a", "\u{200b}")] {
            assert!(requested(&map(&[(name, value)])).is_err(), "{name:?} {value:?}");
        }
    }

    #[test]
    fn equal_sets_are_equal_texts() {
        let tags = Tags::of_key(&map(&[("b", "\"1\""), ("a", "ü")]));
        assert_eq!(tags.to_string(), r#"{"a":"ü","b":"\"1\"","owner":"","scope":"organization"}"#);
        assert_eq!(tags.to_string().parse::<Tags>().unwrap(), tags);
    }
}

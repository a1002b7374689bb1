//! Lists of accounts, by a search.

use super::{Profile, readable};
use crate::domain::Result;
use crate::domain::id::UserId;
use crate::domain::page::Page;
use crate::domain::permission::SiteRole;
use crate::domain::permission::role::SITE_MEMBER;
use crate::domain::rule::Violations;
use crate::domain::search::Search;
use crate::domain::user::{LoginType, UserStatus};
use crate::service::{Caller, Service, part};
use crate::store;
use crate::store::user_list::Filter;

/// Ways to sign in that clients know and nobody here has.
const OTHER_LOGIN_TYPES: [&str; 2] = ["github", "oidc"];
/// What an organization's id takes in an answer.
const ID: usize = 40;

/// What a client wants to see of the users.
#[derive(Debug, Clone, Default)]
pub struct UserSearch {
    /// The search's text.
    pub q: String,
    /// Only those after this user; empty for all.
    pub after_id: String,
    /// At most so many; 0 for as many as one answer holds.
    pub limit: i32,
    /// Without the first so many.
    pub offset: i32,
}

impl Service {
    /// The users that the caller may read and a search finds, by username, and how many there are beyond the page. As
    /// many statements for a page of any length.
    ///
    /// # Errors
    /// [`crate::domain::Error::Invalid`].
    pub async fn user_list(&self, caller: &Caller, search: UserSearch) -> Result<(Vec<Profile>, u64)> {
        let subject = caller.user()?;
        let UserSearch { q, after_id, limit, offset } = search;
        let mut violations = Violations::default();
        let page = Page::parse(limit, offset, &mut violations);
        let after = if after_id.is_empty() { None } else { Some(UserId::parse(&after_id)) };
        if after == Some(None) {
            violations.add("after_id", "must be a UUID");
        }
        let mut search = Search::parse(&q, &mut violations);
        let filter = Filter { readable: readable(subject), ..filter(&mut search, &mut violations) };
        search.finish(&mut violations);
        violations.finish()?;
        let count = store::user_list::count(&self.store, &filter).await?;
        let users = store::user_list::list(&self.store, &filter, page, after.flatten()).await?;
        let read = |users| self.profiles(subject, users);
        let texts = |profile: &Profile| profile.organizations.len() * ID;
        let at_once = users.len().max(1);
        Ok((part::that_fits(users, at_once, read, texts).await?, count))
    }
}

fn filter(search: &mut Search, violations: &mut Violations) -> Filter {
    let bare = search.bare();
    let statuses = words(search, "status", violations, UserStatus::ALL.map(UserStatus::text), UserStatus::named);
    let roles = search.all("role");
    // Which everybody is: the others narrow nothing then.
    let is_anybody = roles.iter().any(|role| role == SITE_MEMBER);
    let found: Vec<SiteRole> = roles.iter().filter_map(|role| SiteRole::named(role)).collect();
    if !is_anybody && found.len() < roles.len() {
        let all = SiteRole::ALL.map(SiteRole::text).join(", ");
        violations.add("role", format!("must be of {SITE_MEMBER}, {all}"));
    }
    let types = search.all("login_type");
    let login_types: Vec<LoginType> = types.iter().filter_map(|text| LoginType::named(text)).collect();
    if types.iter().any(|text| LoginType::named(text).is_none() && !OTHER_LOGIN_TYPES.contains(&text.as_str())) {
        let all = LoginType::ALL.map(LoginType::text).join(", ");
        violations.add("login_type", format!("must be of {all}, {}", OTHER_LOGIN_TYPES.join(", ")));
    }
    Filter {
        search: search.one("search", violations).or((!bare.is_empty()).then_some(bare)),
        name: search.one("name", violations),
        statuses,
        roles: if is_anybody { Vec::new() } else { found },
        // Nobody is a service account, nor signs in with what isn't served.
        nothing: search.flag("service_account", violations) == Some(true)
            || (login_types.is_empty() && !types.is_empty()),
        login_types,
        last_seen_after: search.time("last_seen_after", violations),
        last_seen_before: search.time("last_seen_before", violations),
        created_after: search.time("created_after", violations),
        created_before: search.time("created_before", violations),
        ..Filter::default()
    }
}

/// The values of a key that takes a few words.
fn words<T, const N: usize>(
    search: &mut Search,
    key: &str,
    violations: &mut Violations,
    all: [&str; N],
    named: impl Fn(&str) -> Option<T>,
) -> Vec<T> {
    let texts = search.all(key);
    let found: Vec<T> = texts.iter().filter_map(|text| named(text)).collect();
    if found.len() < texts.len() {
        violations.add(key, format!("must be of {}", all.join(", ")));
    }
    found
}

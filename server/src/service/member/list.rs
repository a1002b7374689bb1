//! Members with who they are and what they hold: one, all, and pages of what a search finds.

use std::collections::BTreeMap;

use super::roles::{MemberRole, member_roles};
use crate::domain::error::Kind;
use crate::domain::id::{OrganizationId, UserId};
use crate::domain::page::{self, Page};
use crate::domain::permission::{Action, Object, Resource, SiteRole, authorize};
use crate::domain::rule::Violations;
use crate::domain::search::Search;
use crate::domain::user::{LoginType, UserStatus};
use crate::domain::{Error, Result};
use crate::service::{Caller, Service, part};
use crate::store;
use crate::store::entity::{organization_member, user_account};
use crate::store::member::{Filter, Part};

/// Members of a list that has no pages.
const MOST: u64 = 10_000;
/// Bytes of a role in an answer, beside its names.
const ROLE: usize = 50;

/// What a client wants to see of the members.
#[derive(Debug, Clone, Default)]
pub struct MemberSearch {
    /// The search's text.
    pub q: String,
    /// At most so many; 0 for as many as one answer holds.
    pub limit: i32,
    /// Without the first so many.
    pub offset: i32,
    /// Only those behind the member with this id; empty for all.
    pub after_id: String,
}

/// A member.
#[derive(Debug, Clone)]
pub struct MemberView {
    /// The membership.
    pub member: organization_member::Model,
    /// Who it is.
    pub user: user_account::Model,
    /// Their explicit roles in the organization.
    pub roles: Vec<MemberRole>,
    /// Their roles of the site.
    pub site_roles: Vec<SiteRole>,
}

impl Service {
    /// An organization's members, by username, as many of them as one answer holds.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the caller may not read them, [`Error::Invalid`].
    pub async fn member_list(&self, caller: &Caller, organization: &str, q: &str) -> Result<Vec<MemberView>> {
        let organization = self.organization_of_members(caller, organization).await?;
        let mut violations = Violations::default();
        let filter = filter(q, &mut violations);
        violations.finish()?;
        let part = Part { after: None, offset: 0, limit: MOST };
        let found = store::member::list(&self.store, organization, &filter, part).await?;
        Ok(part::beginning(self.member_views(organization, found).await?, texts))
    }

    /// A page of those that a search finds, by username, and how many it finds on all pages.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the caller may not read them, [`Error::Invalid`].
    pub async fn member_search(
        &self,
        caller: &Caller,
        organization: &str,
        search: MemberSearch,
    ) -> Result<(Vec<MemberView>, u64)> {
        let organization = self.organization_of_members(caller, organization).await?;
        let MemberSearch { q, limit, offset, after_id } = search;
        let mut violations = Violations::default();
        let page = Page::parse(limit, offset, &mut violations);
        let after = UserId::parse(&after_id);
        if after.is_none() && !after_id.is_empty() {
            violations.add("after_id", "must be a UUID");
        }
        let filter = filter(&q, &mut violations);
        violations.finish()?;
        let count = store::member::count(&self.store, organization, &filter).await?;
        let part = Part { after, offset: page.offset(), limit: page.limit() };
        let found = store::member::list(&self.store, organization, &filter, part).await?;
        Ok((part::beginning(self.member_views(organization, found).await?, texts), count))
    }

    /// A member, by their user's id, username or `me`.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none or the caller may not read them.
    pub async fn member_get(&self, caller: &Caller, organization: &str, user: &str) -> Result<MemberView> {
        let organization = self.organization_of_members(caller, organization).await?;
        self.member_find(caller, organization, user).await
    }

    /// The organization that a path names, if the caller may read its members.
    async fn organization_of_members(&self, caller: &Caller, organization: &str) -> Result<OrganizationId> {
        let organization = self.organization_resolve(caller, organization).await?;
        let object = Object::of(Resource::OrganizationMember, organization.id);
        authorize(caller.user()?, Action::Read, &object, Kind::Member)?;
        Ok(organization.id)
    }

    /// The member that a path names.
    pub(super) async fn member_find(
        &self,
        caller: &Caller,
        organization: OrganizationId,
        user: &str,
    ) -> Result<MemberView> {
        let user = self.user_resolve(caller, user).await?;
        let filter = Filter { users: vec![user.id], ..Filter::default() };
        let part = Part { after: None, offset: 0, limit: 1 };
        let found = store::member::list(&self.store, organization, &filter, part).await?;
        let mut views = self.member_views(organization, found).await?;
        views.pop().ok_or(Error::NotFound(Kind::Member))
    }

    async fn member_views(
        &self,
        organization: OrganizationId,
        members: Vec<(organization_member::Model, user_account::Model)>,
    ) -> Result<Vec<MemberView>> {
        let users: Vec<UserId> = members.iter().map(|(_, user)| user.id).collect();
        let mut held: BTreeMap<UserId, Vec<_>> = BTreeMap::new();
        for one in store::member_role::list(&self.store, organization, &users).await? {
            held.entry(one.user_id).or_default().push(one);
        }
        let view = |(member, user): (_, user_account::Model)| {
            let held = held.remove(&user.id).unwrap_or_default();
            let (of_site, here): (Vec<_>, Vec<_>) = held.into_iter().partition(|one| one.organization_id.is_none());
            let site_roles = SiteRole::ALL.into_iter().filter(|role| of_site.iter().any(|one| one.role == role.text()));
            MemberView { member, user, roles: member_roles(here), site_roles: site_roles.collect() }
        };
        Ok(members.into_iter().map(view).collect())
    }
}

/// The bytes of a member's texts.
fn texts(view: &MemberView) -> usize {
    let MemberView { member: _, user, roles, site_roles } = view;
    let user = user.username.len() + user.email.len() + user.name.len() + user.avatar_url.len();
    user + roles.iter().map(|role| ROLE + role.name.len() + role.display_name.len()).sum::<usize>()
        + ROLE * site_roles.len()
}

fn filter(q: &str, violations: &mut Violations) -> Filter {
    let mut search = Search::parse(q, violations);
    let (bare, text) = (search.bare(), search.one("search", violations));
    let name = search.one("name", violations).unwrap_or_default();
    let (statuses, login_types) = (search.all("status"), search.all("login_type"));
    let users = page::ids(&search.all("user_id"), UserId::parse, violations);
    // There are no users of the system's own, so they are neither left out nor let in.
    let _ = search.flag("include_system", violations);
    search.finish(violations);
    Filter {
        users,
        text: text.unwrap_or(bare),
        name,
        statuses: chosen("status", &statuses, &UserStatus::ALL, UserStatus::text, violations),
        login_types: chosen("login_type", &login_types, &LoginType::ALL, LoginType::text, violations),
    }
}

fn chosen<T: Copy>(
    key: &str,
    texts: &[String],
    all: &[T],
    text: impl Fn(T) -> &'static str,
    violations: &mut Violations,
) -> Vec<T> {
    let chosen: Vec<T> = all.iter().copied().filter(|one| texts.iter().any(|wanted| wanted == text(*one))).collect();
    if texts.iter().any(|wanted| !all.iter().any(|one| wanted == text(*one))) {
        let all: Vec<_> = all.iter().map(|one| text(*one)).collect();
        violations.add(key, format!("must be of {}", all.join(", ")));
    }
    chosen
}

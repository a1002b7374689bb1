//! Reading the audit log.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::{Stream, stream};

use super::{Caller, Service};
use crate::domain::audit::{AuditAction, AuditResource};
use crate::domain::id::{AuditId, UserId, parse_hyphenated};
use crate::domain::page::Page;
use crate::domain::permission::{Action, Resource, Subject, reach};
use crate::domain::rule::Violations;
use crate::domain::search::Search;
use crate::domain::workspace::BuildReason;
use crate::domain::{Error, Result, Timestamp, email};
use crate::store;
use crate::store::audit_log::{Filter, Listed};
use crate::store::entity::{audit_log, user_account};

/// Entries that are counted.
pub const COUNTED: i64 = 2000;
/// What a list gives when nothing is said.
const DEFAULT_LIMIT: i32 = 100;
/// Entries of an export that are read at once.
const AT_ONCE: u32 = 100;
const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);

/// An entry with what clients are told about it.
#[derive(Debug)]
pub struct AuditView {
    /// The entry.
    pub entry: audit_log::Model,
    /// What it is about was deleted since.
    pub is_deleted: bool,
    /// The name of its organization, the name for people, and its picture.
    pub organization: Option<[String; 3]>,
    /// Who did it.
    pub user: Option<user_account::Model>,
}

impl Service {
    /// The entries that the caller may read and a search finds, newest first, and how many there are, counted up to one
    /// more than [`COUNTED`].
    ///
    /// # Errors
    /// [`Error::Denied`] for those who may read none, [`Error::Invalid`].
    pub async fn audit_list(
        &self,
        caller: &Caller,
        q: &str,
        (limit, offset): (i32, i32),
    ) -> Result<(Vec<AuditView>, i64)> {
        let subject = caller.user()?;
        let readable = readable(subject)?;
        let mut violations = Violations::default();
        let page = Page::parse(if limit == 0 { DEFAULT_LIMIT } else { limit }, offset, &mut violations);
        let mut search = Search::parse(q, &mut violations);
        let organization = search.one("organization", &mut violations);
        let mut filter = Filter { readable, ..filter(subject, &mut search, &mut violations) };
        search.finish(&mut violations);
        violations.finish()?;
        if let Some(named) = organization {
            filter.organization = Some(self.organization_searched(caller, &named).await?.id);
        }
        let count = store::audit_log::count(&self.store, &filter, COUNTED).await?;
        let listed = store::audit_log::list(&self.store, &filter, page).await?;
        Ok((self.audit_views(listed).await?, count))
    }

    /// The entries that the caller may read of a time, oldest first, a part at a time. Before each part is looked whether
    /// they still may.
    ///
    /// # Errors
    /// [`Error::Denied`] for those who may read none.
    pub fn audit_export(
        self: &Arc<Self>,
        caller: Caller,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<impl Stream<Item = Result<Vec<AuditView>>> + Send + use<>> {
        readable(caller.user()?)?;
        let first: Option<(Timestamp, AuditId)> = None;
        Ok(stream::try_unfold(Some((self.clone(), caller, first)), move |state| async move {
            let Some((service, caller, after)) = state else { return Ok(None) };
            if service.news.stop.is_cancelled() {
                return Err(Error::Stopping);
            }
            let caller = service.session_again(&caller).await?;
            let filter = Filter { readable: readable(caller.user()?)?, since, until, ..Filter::default() };
            let listed = store::audit_log::after(&service.store, &filter, after, AT_ONCE).await?;
            let Some(last) = listed.last().map(|last| (last.entry.time, last.entry.id)) else { return Ok(None) };
            let views = service.audit_views(listed).await?;
            Ok(Some((views, Some((service, caller, Some(last))))))
        }))
    }

    async fn audit_views(&self, listed: Vec<Listed>) -> Result<Vec<AuditView>> {
        let users: BTreeSet<UserId> = listed.iter().filter_map(|one| one.entry.user_id).collect();
        let users = store::user::find_many(&self.store, users).await?;
        let view = |listed: Listed| {
            let Listed { entry, is_deleted, organization } = listed;
            let user = entry.user_id.and_then(|id| users.get(&id).cloned());
            AuditView { entry, is_deleted, organization, user }
        };
        Ok(listed.into_iter().map(view).collect())
    }
}

/// The organizations whose entries a subject may read; `None` for everything.
fn readable(subject: &Subject) -> Result<Option<BTreeSet<crate::domain::id::OrganizationId>>> {
    let reach = reach(subject, Action::Read, Resource::AuditLog);
    let organizations = reach.whole().cloned();
    if organizations.as_ref().is_some_and(BTreeSet::is_empty) { Err(Error::Denied) } else { Ok(organizations) }
}

fn filter(subject: &Subject, search: &mut Search, violations: &mut Violations) -> Filter {
    let bare = search.bare();
    let resource_type = search.one("resource_type", violations).or((!bare.is_empty()).then_some(bare));
    if resource_type.as_deref().is_some_and(|text| AuditResource::named(text).is_none()) {
        let all: Vec<_> = AuditResource::ALL.iter().map(|one| one.text()).collect();
        violations.add("resource_type", format!("must be one of {}", all.join(", ")));
    }
    let action = search.one("action", violations);
    if action.as_deref().is_some_and(|text| AuditAction::named(text).is_none()) {
        let all: Vec<_> = AuditAction::ALL.iter().map(|one| one.text()).collect();
        violations.add("action", format!("must be one of {}", all.join(", ")));
    }
    let build_reason = search.one("build_reason", violations);
    if build_reason.as_deref().is_some_and(|text| BuildReason::named(text).is_none()) {
        violations.add("build_reason", "must be a reason of builds, such as `initiator`");
    }
    let username = search.one("username", violations);
    let is_me = username.as_deref() == Some("me");
    Filter {
        readable: None,
        resource_type,
        resource_id: id("resource_id", search, violations),
        resource_target: search.one("resource_target", violations),
        action,
        user: is_me.then_some(subject.user_id),
        username: username.filter(|_| !is_me),
        email: search.one("email", violations).map(|text| email::canonical(&text)),
        since: date("date_from", search, violations),
        until: date("date_to", search, violations).map(|day| day.plus(DAY)),
        organization: None,
        build_reason,
        request_id: id("request_id", search, violations),
    }
}

fn id(key: &str, search: &mut Search, violations: &mut Violations) -> Option<uuid::Uuid> {
    let text = search.one(key, violations)?;
    let id = parse_hyphenated(&text);
    if id.is_none() {
        violations.add(key, "must be a UUID");
    }
    id
}

/// The beginning of a day in UTC.
fn date(key: &str, search: &mut Search, violations: &mut Violations) -> Option<Timestamp> {
    let text = search.one(key, violations)?;
    let day = Timestamp::of_day(&text);
    if day.is_none() {
        violations.add(key, "must be a day such as 2026-12-31");
    }
    day
}

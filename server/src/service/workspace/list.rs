//! Lists of workspaces, by a search.

use crate::domain::Result;
use crate::domain::id::WorkspaceId;
use crate::domain::page::{self, Page};
use crate::domain::permission::{Action, Resource, Subject, reach};
use crate::domain::rule::Violations;
use crate::domain::search::Search;
use crate::domain::workspace::Status;
use crate::service::workspace::WorkspaceView;
use crate::service::workspace_build::AT_ONCE;
use crate::service::{Caller, Service, part};
use crate::store;
use crate::store::workspace::{Filter, Owner};

/// What a client wants to see of the workspaces.
#[derive(Debug, Clone, Default)]
pub struct WorkspaceSearch {
    /// The search's text.
    pub q: String,
    /// At most so many; 0 for as many as one answer holds.
    pub limit: i32,
    /// Without the first so many.
    pub offset: i32,
}

impl Service {
    /// The live workspaces that the caller may read and a search finds, and how many there are beyond the page.
    ///
    /// # Errors
    /// [`crate::domain::Error::Invalid`].
    pub async fn workspace_list(&self, caller: &Caller, search: WorkspaceSearch) -> Result<(Vec<WorkspaceView>, u64)> {
        let subject = caller.user()?;
        let WorkspaceSearch { q, limit, offset } = search;
        let mut violations = Violations::default();
        let page = Page::parse(limit, offset, &mut violations);
        let mut search = Search::parse(&q, &mut violations);
        let organization = search.one("organization", &mut violations);
        let mut filter = filter(subject, &mut search, &mut violations);
        search.finish(&mut violations);
        violations.finish()?;
        if let Some(named) = organization {
            filter.organization = Some(self.organization_searched(caller, &named).await?.id);
        }
        let count = store::workspace::count(&self.store, &filter).await?;
        let workspaces = store::workspace::list(&self.store, &filter, page).await?;
        let read = |workspaces| self.workspace_views(workspaces);
        let texts = |view: &WorkspaceView| view.latest_build.texts();
        Ok((part::that_fits(workspaces, AT_ONCE, read, texts).await?, count))
    }
}

fn filter(subject: &Subject, search: &mut Search, violations: &mut Violations) -> Filter {
    let bare = search.bare();
    let (bare_owner, bare_name) = match bare.split_once('/') {
        Some((owner, name)) => (Some(owner.to_owned()), name.to_owned()),
        None => (None, bare),
    };
    let owner = search.one("owner", violations).or(bare_owner.filter(|owner| !owner.is_empty()));
    let name = search.one("name", violations).or((!bare_name.is_empty()).then_some(bare_name));
    let statuses = search.all("status");
    let found: Vec<Status> = statuses.iter().filter_map(|text| Status::named(text)).collect();
    if found.len() < statuses.len() {
        let all = Status::ALL.map(Status::text).join(", ");
        violations.add("status", format!("must be of {all}"));
    }
    Filter {
        readable: reach(subject, Action::Read, Resource::Workspace),
        ids: page::ids(&search.all("id"), WorkspaceId::parse, violations),
        owner: owner.map(|owner| if owner == "me" { Owner::Id(subject.user_id) } else { Owner::Username(owner) }),
        organization: None,
        template: search.one("template", violations),
        name,
        statuses: found,
        outdated: search.flag("outdated", violations),
        // None is dormant; `false` doesn't narrow a list, as clients know it.
        nothing: search.flag("dormant", violations) == Some(true),
    }
}

//! Which templates a search finds.

use super::TemplateView;
use crate::domain::Result;
use crate::domain::id::{TemplateId, UserId};
use crate::domain::page;
use crate::domain::rule::Violations;
use crate::domain::search::Search;

/// A search that was read. Its texts are in lower case.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// As the search names it; whoever reads the search looks it up.
    pub(super) organization: Option<String>,
    exact_name: Option<String>,
    name: Option<String>,
    exact_display_name: Option<String>,
    display_name: Option<String>,
    ids: Vec<TemplateId>,
    author: Option<String>,
    author_id: Option<UserId>,
    /// What this server has none of: templates that are deprecated, or deleted and still listed.
    nothing: bool,
}

impl Wanted {
    /// Reads a search of the user `me`.
    pub(super) fn parse(q: &str, me: UserId) -> Result<Self> {
        let mut violations = Violations::default();
        let mut search = Search::parse(q, &mut violations);
        let bare = search.bare();
        let author = search.one("author", &mut violations);
        let author_id = search.one("author_id", &mut violations).map(|id| UserId::parse(&id));
        if author_id == Some(None) {
            violations.add("author_id", "must be a UUID");
        }
        let is_me = author.as_deref() == Some("me");
        let deprecated = search.flag("deprecated", &mut violations);
        let deleted = search.flag("deleted", &mut violations);
        let wanted = Self {
            organization: search.one("organization", &mut violations),
            exact_name: search.one("exact_name", &mut violations),
            name: search.one("name", &mut violations),
            exact_display_name: search.one("exact_display_name", &mut violations),
            display_name: search.one("display_name", &mut violations).or((!bare.is_empty()).then_some(bare)),
            ids: page::ids(&search.all("ids"), TemplateId::parse, &mut violations),
            author: author.filter(|_| !is_me),
            author_id: if is_me { Some(me) } else { author_id.flatten() },
            nothing: deprecated == Some(true) || deleted == Some(true),
        };
        search.finish(&mut violations);
        violations.finish()?;
        Ok(wanted)
    }

    /// Whether a template is one of those, as far as its organization doesn't matter.
    pub(super) fn has(&self, view: &TemplateView) -> bool {
        let TemplateView { template, organization: _, created_by } = view;
        let is = |wanted: &Option<String>, text: &str| wanted.as_ref().is_none_or(|w| *w == text.to_lowercase());
        let within = |wanted: &Option<String>, text: &str| {
            wanted.as_ref().is_none_or(|wanted| text.to_lowercase().contains(wanted.as_str()))
        };
        !self.nothing
            && is(&self.exact_name, &template.name)
            && within(&self.name, &template.name)
            && is(&self.exact_display_name, &template.display_name)
            && within(&self.display_name, &template.display_name)
            && (self.ids.is_empty() || self.ids.contains(&template.id))
            && is(&self.author, &created_by.username)
            && self.author_id.is_none_or(|author| author == created_by.id)
    }
}

//! Who may do what: one table, read from top to bottom.

mod catalogue;
mod custom;
mod reach;
pub mod role;
mod scope;
mod table;

use std::collections::{BTreeMap, BTreeSet};

pub use catalogue::{Action, Resource};
pub use custom::{Unknown, Wanted};
pub use reach::{Reach, reach};
pub use role::{OrganizationRole, SiteRole};
pub use scope::Scope;
pub use table::{BANS, Holder, TABLE};

use super::error::{Error, Kind, Result};
use super::id::{OrganizationId, UserId};

/// Somebody who asks, with what they hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Who.
    pub user_id: UserId,
    /// Roles of the site.
    pub site_roles: BTreeSet<SiteRole>,
    /// The live organizations that they are a member of, each with what they hold there.
    pub organizations: BTreeMap<OrganizationId, Membership>,
    /// What the token that they came in with may be used for.
    pub scope: Scope,
}

/// What a member holds in an organization.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Membership {
    /// Roles that every organization has.
    pub roles: BTreeSet<OrganizationRole>,
    /// The names of their roles of this organization's making.
    pub custom_roles: BTreeSet<String>,
    /// What those grant, all together.
    pub permissions: BTreeSet<(Resource, Action)>,
}

impl Subject {
    /// Whether they hold a role of the site.
    #[must_use]
    pub fn is(&self, role: SiteRole) -> bool {
        self.site_roles.contains(&role)
    }

    /// What they hold in an organization; `None` when they aren't a member.
    #[must_use]
    pub fn membership(&self, organization: OrganizationId) -> Option<&Membership> {
        self.organizations.get(&organization)
    }

    /// Whether they hold this of the whole site, so that nothing of an organization takes it away.
    fn holds_of_site(&self, holder: Holder) -> bool {
        match holder {
            Holder::Owner => self.is(SiteRole::Owner),
            Holder::UserAdmin => self.is(SiteRole::UserAdmin),
            Holder::TemplateAdmin => self.is(SiteRole::TemplateAdmin),
            Holder::Auditor => self.is(SiteRole::Auditor),
            Holder::Anyone => true,
            Holder::OrgAdmin
            | Holder::OrgUserAdmin
            | Holder::OrgTemplateAdmin
            | Holder::OrgAuditor
            | Holder::OrgMember
            | Holder::Own => false,
        }
    }

    /// Whether they hold this as a member of the object's organization, or as its user.
    fn holds_locally(&self, holder: Holder, object: &Object) -> bool {
        let membership = object.organization.and_then(|id| self.organizations.get(&id));
        let has = |role| membership.is_some_and(|held| held.roles.contains(&role));
        match holder {
            Holder::OrgAdmin => has(OrganizationRole::Admin),
            Holder::OrgUserAdmin => has(OrganizationRole::UserAdmin),
            Holder::OrgTemplateAdmin => has(OrganizationRole::TemplateAdmin),
            Holder::OrgAuditor => has(OrganizationRole::Auditor),
            Holder::OrgMember => membership.is_some(),
            Holder::Own => {
                object.owner == Some(self.user_id) && (object.organization.is_none() || membership.is_some())
            }
            Holder::Owner | Holder::UserAdmin | Holder::TemplateAdmin | Holder::Auditor | Holder::Anyone => false,
        }
    }
}

/// Something that permission is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Object {
    /// What it is.
    pub resource: Resource,
    /// The organization that it is of; `None` for what is of the site.
    pub organization: Option<OrganizationId>,
    /// Whose it is.
    pub owner: Option<UserId>,
}

impl Object {
    /// Something of the site.
    #[must_use]
    pub fn site(resource: Resource) -> Self {
        Self { resource, organization: None, owner: None }
    }

    /// Something of an organization.
    #[must_use]
    pub fn of(resource: Resource, organization: OrganizationId) -> Self {
        Self { resource, organization: Some(organization), owner: None }
    }

    /// A workspace.
    #[must_use]
    pub fn workspace(organization: OrganizationId, owner: UserId) -> Self {
        Self::of(Resource::Workspace, organization).owned_by(owner)
    }

    /// The same as a user's own.
    #[must_use]
    pub fn owned_by(self, owner: UserId) -> Self {
        Self { owner: Some(owner), ..self }
    }
}

/// Whether the table, the subject's custom roles and the scope of their token let them do this.
#[must_use]
pub fn allowed(subject: &Subject, action: Action, object: &Object) -> bool {
    if !subject.scope.permits(object.resource, action) {
        return false;
    }
    let row = TABLE.iter().find(|(resource, row_action, _)| (*resource, *row_action) == (object.resource, action));
    let holders = row.map_or(&[][..], |(_, _, holders)| *holders);
    if holders.iter().any(|holder| subject.holds_of_site(*holder)) {
        return true;
    }
    let membership = object.organization.and_then(|id| subject.membership(id));
    let is_banned = BANS.iter().any(|(resource, banned, role)| {
        (*resource, *banned) == (object.resource, action) && membership.is_some_and(|held| held.roles.contains(role))
    });
    let granted = membership.is_some_and(|held| held.permissions.contains(&(object.resource, action)));
    !is_banned && (granted || holders.iter().any(|holder| subject.holds_locally(*holder, object)))
}

/// What can be done, as far as anybody may.
pub fn pairs() -> impl Iterator<Item = (Resource, Action)> {
    TABLE.iter().map(|(resource, action, _)| (*resource, *action))
}

/// What a role of the site lets its holders do everywhere.
pub fn of_site_role(role: SiteRole) -> impl Iterator<Item = (Resource, Action)> {
    let holder = match role {
        SiteRole::Owner => Holder::Owner,
        SiteRole::UserAdmin => Holder::UserAdmin,
        SiteRole::TemplateAdmin => Holder::TemplateAdmin,
        SiteRole::Auditor => Holder::Auditor,
    };
    let rows = TABLE.iter().filter(move |(_, _, holders)| holders.contains(&holder));
    rows.map(|(resource, action, _)| (*resource, *action))
}

/// What a role of an organization can grant.
#[must_use]
pub fn is_grantable(resource: Resource, action: Action) -> bool {
    // Organizations are made by the site, before there is one to have roles.
    resource.is_of_organization()
        && (resource, action) != (Resource::Organization, Action::Create)
        && pairs().any(|pair| pair == (resource, action))
}

/// What the table gives a role that every organization has, beside what membership alone gives.
pub fn granted_by(role: OrganizationRole) -> impl Iterator<Item = (Resource, Action)> {
    let holder = Holder::of(role);
    let rows = TABLE.iter().filter(move |(_, _, holders)| holder.is_some_and(|holder| holders.contains(&holder)));
    rows.map(|(resource, action, _)| (*resource, *action))
}

/// What a role that every organization has takes away.
pub fn banned_by(role: OrganizationRole) -> impl Iterator<Item = (Resource, Action)> {
    BANS.iter().filter(move |(_, _, by)| *by == role).map(|(resource, action, _)| (*resource, *action))
}

/// Permissions as a row holds them: `resource:action` with spaces between them.
#[must_use]
pub fn stored(permissions: &BTreeSet<(Resource, Action)>) -> String {
    let texts = permissions.iter().map(|(resource, action)| format!("{}:{}", resource.text(), action.text()));
    texts.collect::<Vec<_>>().join(" ")
}

/// What such a text holds. What this server doesn't know, as during an upgrade, grants nothing.
pub fn of_stored(text: &str) -> impl Iterator<Item = (Resource, Action)> {
    text.split(' ').filter_map(|one| {
        let (resource, action) = one.split_once(':')?;
        Some((Resource::named(resource)?, Action::named(action)?))
    })
}

/// Whether a subject holds all of this in a whole organization: nobody grants what they don't hold.
#[must_use]
pub fn holds_all(
    subject: &Subject,
    organization: OrganizationId,
    permissions: impl IntoIterator<Item = (Resource, Action)>,
) -> bool {
    permissions.into_iter().all(|(resource, action)| allowed(subject, action, &Object::of(resource, organization)))
}

/// A role of an organization that somebody is given or that is taken from them.
#[derive(Debug, Clone, Copy)]
pub enum Assignable<'a> {
    /// One that every organization has.
    BuiltIn(OrganizationRole),
    /// One of the organization's making, with what it grants.
    Custom(&'a BTreeSet<(Resource, Action)>),
}

/// Whether a subject may give a role of an organization to others, and take it from them. Roles that every organization
/// has are its admins' to give; others are given by who may assign roles and holds all that the role grants.
#[must_use]
pub fn may_assign(subject: &Subject, organization: OrganizationId, role: Assignable<'_>) -> bool {
    let assigns = |action| allowed(subject, action, &Object::of(Resource::AssignOrgRole, organization));
    if !assigns(Action::Assign) || !assigns(Action::Unassign) {
        return false;
    }
    match role {
        Assignable::BuiltIn(_) => {
            let is_admin = |held: &Membership| held.roles.contains(&OrganizationRole::Admin);
            let holds_all = subject.is(SiteRole::Owner) || subject.membership(organization).is_some_and(is_admin);
            // A token for less than everything holds less than an admin.
            holds_all && subject.scope == Scope::All
        }
        Assignable::Custom(permissions) => holds_all(subject, organization, permissions.iter().copied()),
    }
}

/// Whether a subject may give roles of the site to others, and take them from them: only owners hold what all of them do.
#[must_use]
pub fn may_assign_of_site(subject: &Subject) -> bool {
    let assigns = |action| allowed(subject, action, &Object::site(Resource::AssignRole));
    // A token for less than everything holds less than an owner.
    let holds_all = subject.is(SiteRole::Owner) && subject.scope == Scope::All;
    assigns(Action::Assign) && assigns(Action::Unassign) && holds_all
}

/// Whether a subject may change somebody who holds these roles of the site: who could give them all, or nobody who has
/// more than the subject, lest an account that resets passwords is worth as much as the account it resets.
#[must_use]
pub fn may_change_holder_of(subject: &Subject, roles: &BTreeSet<SiteRole>) -> bool {
    let holds = |role| subject.scope == Scope::All && subject.site_roles.contains(role);
    roles.iter().all(|role| holds(role) || may_assign_of_site(subject))
}

/// Whether a subject may make somebody's account their own, as who sets its password can: they could give all that it
/// holds.
#[must_use]
pub fn may_take_over(subject: &Subject, other: &Subject) -> bool {
    let could_give = |(organization, held): (&OrganizationId, &Membership)| {
        // The ban is nothing that anybody gains.
        let mut gains = held.roles.iter().filter(|role| **role != OrganizationRole::WorkspaceCreationBan);
        gains.all(|role| may_assign(subject, *organization, Assignable::BuiltIn(*role)))
            && holds_all(subject, *organization, held.permissions.iter().copied())
    };
    subject.scope == Scope::All
        && may_change_holder_of(subject, &other.site_roles)
        && other.organizations.iter().all(could_give)
}

/// The same as a result: what can't even be read isn't there.
///
/// # Errors
/// [`Error::NotFound`] when the subject can't read the object, [`Error::Denied`] when they can but not do this.
pub fn authorize(subject: &Subject, action: Action, object: &Object, kind: Kind) -> Result<()> {
    if allowed(subject, action, object) {
        Ok(())
    } else if action != Action::Read && allowed(subject, Action::Read, object) {
        Err(Error::Denied)
    } else {
        Err(Error::NotFound(kind))
    }
}

#[cfg(test)]
mod tests;

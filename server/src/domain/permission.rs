//! Who may do what: one table, read from top to bottom.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{DeriveActiveEnum, EnumIter};

use super::error::{Error, Kind, Result};
use super::id::{OrganizationId, UserId};

/// A role of the whole site. Everybody who has an account is a member without saying so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum SiteRole {
    /// Everything, everywhere.
    #[sea_orm(string_value = "owner")]
    Owner,
}

impl SiteRole {
    /// The role's name, as clients and grants have it.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Owner => "owner",
        }
    }
}

/// A role in one organization. Membership alone is no role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum OrganizationRole {
    /// Everything in the organization but deleting it.
    #[sea_orm(string_value = "organization-admin")]
    Admin,
}

/// What permission is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Resource {
    Organization,
    Member,
    User,
    ProvisionerKey,
    ProvisionerDaemon,
    ProvisionerJob,
    File,
    Template,
    Workspace,
}

/// What is done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Action {
    Create,
    Read,
    Update,
    Delete,
    /// Make a workspace of a template.
    Use,
    /// Queue a build that starts or stops a workspace.
    Run,
    /// Cancel a build that runs, whatever the template says.
    Interrupt,
}

/// Whom a row of the table lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// Holders of [`SiteRole::Owner`].
    SiteOwner,
    /// Holders of [`OrganizationRole::Admin`] in the object's organization.
    OrganizationAdmin,
    /// Members of the object's organization.
    OrganizationMember,
    /// The object's own user, as long as they are a member of its organization, where it has one.
    ObjectOwner,
}

use Action::{Create, Delete, Interrupt, Read, Run, Update, Use};
use Holder::{ObjectOwner, OrganizationAdmin, OrganizationMember, SiteOwner};

/// The table. What it doesn't name, nobody may.
pub const TABLE: &[(Resource, Action, &[Holder])] = &[
    (Resource::Organization, Create, &[SiteOwner]),
    (Resource::Organization, Read, &[SiteOwner, OrganizationMember]),
    (Resource::Organization, Update, &[SiteOwner, OrganizationAdmin]),
    (Resource::Organization, Delete, &[SiteOwner]),
    (Resource::Member, Create, &[SiteOwner, OrganizationAdmin]),
    (Resource::Member, Read, &[SiteOwner, OrganizationMember]),
    (Resource::User, Create, &[SiteOwner]),
    (Resource::User, Read, &[SiteOwner, ObjectOwner]),
    (Resource::ProvisionerKey, Create, &[SiteOwner, OrganizationAdmin]),
    (Resource::ProvisionerKey, Read, &[SiteOwner, OrganizationMember]),
    (Resource::ProvisionerKey, Delete, &[SiteOwner, OrganizationAdmin]),
    (Resource::ProvisionerDaemon, Read, &[SiteOwner, OrganizationAdmin]),
    (Resource::ProvisionerJob, Read, &[SiteOwner, OrganizationAdmin]),
    (Resource::ProvisionerJob, Update, &[SiteOwner, OrganizationAdmin]),
    (Resource::File, Create, &[SiteOwner, OrganizationMember]),
    (Resource::File, Read, &[ObjectOwner]),
    (Resource::Template, Create, &[SiteOwner, OrganizationAdmin]),
    (Resource::Template, Read, &[SiteOwner, OrganizationMember]),
    (Resource::Template, Update, &[SiteOwner, OrganizationAdmin]),
    (Resource::Template, Delete, &[SiteOwner, OrganizationAdmin]),
    (Resource::Template, Use, &[SiteOwner, OrganizationMember]),
    (Resource::Workspace, Create, &[SiteOwner, OrganizationAdmin, ObjectOwner]),
    (Resource::Workspace, Read, &[SiteOwner, OrganizationAdmin, ObjectOwner]),
    (Resource::Workspace, Run, &[SiteOwner, OrganizationAdmin, ObjectOwner]),
    (Resource::Workspace, Interrupt, &[SiteOwner]),
    (Resource::Workspace, Delete, &[SiteOwner, OrganizationAdmin, ObjectOwner]),
];

/// Somebody who asks, with what they hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Who.
    pub user_id: UserId,
    /// Roles of the site.
    pub site_roles: BTreeSet<SiteRole>,
    /// The organizations that they are a member of, each with their roles there.
    pub organizations: BTreeMap<OrganizationId, BTreeSet<OrganizationRole>>,
}

impl Subject {
    /// Whether they hold a role of the site.
    #[must_use]
    pub fn is(&self, role: SiteRole) -> bool {
        self.site_roles.contains(&role)
    }

    fn holds(&self, holder: Holder, object: &Object) -> bool {
        let membership = object.organization.and_then(|id| self.organizations.get(&id));
        match holder {
            SiteOwner => self.is(SiteRole::Owner),
            OrganizationAdmin => membership.is_some_and(|roles| roles.contains(&OrganizationRole::Admin)),
            OrganizationMember => membership.is_some(),
            ObjectOwner => {
                object.owner == Some(self.user_id) && (object.organization.is_none() || membership.is_some())
            }
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

/// Whether the table lets `subject` do this.
#[must_use]
pub fn allowed(subject: &Subject, action: Action, object: &Object) -> bool {
    TABLE
        .iter()
        .filter(|(resource, row_action, _)| *resource == object.resource && *row_action == action)
        .any(|(_, _, holders)| holders.iter().any(|holder| subject.holds(*holder, object)))
}

/// The same as a result: what can't even be read isn't there.
///
/// # Errors
/// [`Error::NotFound`] when the subject can't read the object, [`Error::Denied`] when they can but not do this.
pub fn authorize(subject: &Subject, action: Action, object: &Object, kind: Kind) -> Result<()> {
    if allowed(subject, action, object) {
        Ok(())
    } else if action != Read && allowed(subject, Read, object) {
        Err(Error::Denied)
    } else {
        Err(Error::NotFound(kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOLDERS: [Holder; 4] = [SiteOwner, OrganizationAdmin, OrganizationMember, ObjectOwner];

    fn subject(site: &[SiteRole], organizations: &[(OrganizationId, &[OrganizationRole])]) -> Subject {
        Subject {
            user_id: UserId::new(),
            site_roles: site.iter().copied().collect(),
            organizations: organizations.iter().map(|(id, roles)| (*id, roles.iter().copied().collect())).collect(),
        }
    }

    /// Each row lets exactly its holders through, in the object's organization and in no other.
    #[test]
    fn a_row_lets_its_holders_through_and_nobody_else() {
        for (resource, action, holders) in TABLE {
            let (here, there) = (OrganizationId::new(), OrganizationId::new());
            let object = Object::of(*resource, here);
            let may = |subject: &Subject, object: &Object| allowed(subject, *action, object);
            for holder in HOLDERS {
                let (who, object) = match holder {
                    SiteOwner => (subject(&[SiteRole::Owner], &[]), object),
                    OrganizationAdmin => (subject(&[], &[(here, &[OrganizationRole::Admin])]), object),
                    OrganizationMember => (subject(&[], &[(here, &[])]), object),
                    ObjectOwner => {
                        let who = subject(&[], &[(here, &[])]);
                        let object = object.owned_by(who.user_id);
                        (who, object)
                    }
                };
                let member_too = matches!(holder, OrganizationAdmin | ObjectOwner);
                let expected = holders.contains(&holder) || (member_too && holders.contains(&OrganizationMember));
                assert_eq!(may(&who, &object), expected, "{resource:?} {action:?} {holder:?}");
            }
            let foreign = subject(&[], &[(there, &[OrganizationRole::Admin])]);
            assert!(!may(&foreign, &object), "{resource:?} {action:?} from elsewhere");
            assert!(!may(&foreign, &object.owned_by(foreign.user_id)), "{resource:?} {action:?} after leaving");
            assert!(!may(&subject(&[], &[]), &Object::site(*resource)), "{resource:?} {action:?} of the site");
        }
    }

    #[test]
    fn the_table_names_each_pair_once() {
        let pairs: BTreeSet<_> = TABLE.iter().map(|(resource, action, _)| (*resource, *action)).collect();
        assert_eq!(pairs.len(), TABLE.len());
    }

    #[test]
    fn what_the_table_does_not_name_nobody_may() {
        let owner = subject(&[SiteRole::Owner], &[]);
        assert!(!allowed(&owner, Run, &Object::site(Resource::User)));
        assert!(!allowed(&owner, Read, &Object::site(Resource::File)), "a file is its uploader's alone");
    }

    #[test]
    fn unreadable_is_not_found_and_readable_is_denied() {
        let organization = OrganizationId::new();
        let key = Object::of(Resource::ProvisionerKey, organization);
        let outcome = |subject: &Subject, action| authorize(subject, action, &key, Kind::ProvisionerKey);
        let member = subject(&[], &[(organization, &[])]);
        assert!(outcome(&member, Read).is_ok());
        assert!(matches!(outcome(&member, Delete), Err(Error::Denied)));
        let stranger = subject(&[], &[]);
        for action in [Read, Create, Delete] {
            assert!(matches!(outcome(&stranger, action), Err(Error::NotFound(Kind::ProvisionerKey))));
        }
    }

    #[test]
    fn what_is_of_the_site_can_be_ones_own() {
        let ann = subject(&[], &[]);
        let account = Object::site(Resource::User);
        assert!(allowed(&ann, Read, &account.owned_by(ann.user_id)));
        assert!(!allowed(&ann, Read, &account.owned_by(UserId::new())));
        assert!(!allowed(&ann, Read, &account));
    }
}

//! The table: who may do what. `docs/permissions.md` prints it.

use super::catalogue::Action::{
    Assign, Create, Delete, Interrupt, Read, ReadPersonal, Start, Stop, Unassign, Update, UpdatePersonal, Use,
};
use super::catalogue::{Action, Resource};
use super::role::OrganizationRole;

/// Whom a row of the table lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// Owners of the site.
    Owner,
    /// User admins of the site.
    UserAdmin,
    /// Template admins of the site.
    TemplateAdmin,
    /// Auditors of the site.
    Auditor,
    /// Whoever has an account.
    Anyone,
    /// Admins of the object's organization.
    OrgAdmin,
    /// User admins of the object's organization.
    OrgUserAdmin,
    /// Template admins of the object's organization.
    OrgTemplateAdmin,
    /// Auditors of the object's organization.
    OrgAuditor,
    /// Members of the object's organization.
    OrgMember,
    /// The object's own user, as long as they are a member of its organization, where it has one.
    Own,
}

impl Holder {
    /// All of them, in the order of the printed table.
    pub const ALL: [Self; 11] = [
        Self::Owner,
        Self::UserAdmin,
        Self::TemplateAdmin,
        Self::Auditor,
        Self::Anyone,
        Self::OrgAdmin,
        Self::OrgUserAdmin,
        Self::OrgTemplateAdmin,
        Self::OrgAuditor,
        Self::OrgMember,
        Self::Own,
    ];

    /// Those who hold a role of an organization; `None` when it only takes away.
    #[must_use]
    pub fn of(role: OrganizationRole) -> Option<Self> {
        match role {
            OrganizationRole::Admin => Some(Self::OrgAdmin),
            OrganizationRole::UserAdmin => Some(Self::OrgUserAdmin),
            OrganizationRole::TemplateAdmin => Some(Self::OrgTemplateAdmin),
            OrganizationRole::Auditor => Some(Self::OrgAuditor),
            OrganizationRole::WorkspaceCreationBan => None,
        }
    }
}

use Holder::{
    Anyone, Auditor, OrgAdmin, OrgAuditor, OrgMember, OrgTemplateAdmin, OrgUserAdmin, Own, Owner, TemplateAdmin,
    UserAdmin,
};

/// What it doesn't name, nobody may, but for what a custom role of the object's organization grants.
pub const TABLE: &[(Resource, Action, &[Holder])] = &[
    (Resource::Organization, Create, &[Owner]),
    (Resource::Organization, Read, &[Owner, UserAdmin, TemplateAdmin, Auditor, OrgMember]),
    (Resource::Organization, Update, &[Owner, OrgAdmin]),
    (Resource::Organization, Delete, &[Owner, OrgAdmin]),
    (Resource::OrganizationMember, Create, &[Owner, UserAdmin, OrgAdmin, OrgUserAdmin]),
    (Resource::OrganizationMember, Read, &[Owner, UserAdmin, TemplateAdmin, Auditor, OrgMember]),
    (Resource::OrganizationMember, Delete, &[Owner, UserAdmin, OrgAdmin, OrgUserAdmin]),
    (Resource::AssignOrgRole, Create, &[Owner, OrgAdmin]),
    (Resource::AssignOrgRole, Read, &[Owner, UserAdmin, OrgMember]),
    (Resource::AssignOrgRole, Update, &[Owner, OrgAdmin]),
    (Resource::AssignOrgRole, Delete, &[Owner, OrgAdmin]),
    // Which roles they may assign is a question of its own: `may_assign`.
    (Resource::AssignOrgRole, Assign, &[Owner, UserAdmin, OrgAdmin, OrgUserAdmin]),
    (Resource::AssignOrgRole, Unassign, &[Owner, UserAdmin, OrgAdmin, OrgUserAdmin]),
    (Resource::AuditLog, Read, &[Owner, Auditor, OrgAdmin, OrgAuditor]),
    (Resource::ProvisionerDaemon, Create, &[Owner, TemplateAdmin, OrgAdmin, OrgTemplateAdmin]),
    (Resource::ProvisionerDaemon, Read, &[Owner, TemplateAdmin, OrgMember]),
    (Resource::ProvisionerDaemon, Delete, &[Owner, TemplateAdmin, OrgAdmin, OrgTemplateAdmin]),
    (Resource::ProvisionerJobs, Read, &[Owner, OrgAdmin, OrgTemplateAdmin]),
    (Resource::ProvisionerJobs, Update, &[Owner, OrgAdmin, OrgTemplateAdmin]),
    (Resource::File, Create, &[Owner, TemplateAdmin, OrgMember]),
    (Resource::File, Read, &[Own]),
    (Resource::Template, Create, &[Owner, TemplateAdmin, OrgAdmin, OrgTemplateAdmin]),
    (Resource::Template, Read, &[Owner, TemplateAdmin, Auditor, OrgMember]),
    (Resource::Template, Update, &[Owner, TemplateAdmin, OrgAdmin, OrgTemplateAdmin]),
    (Resource::Template, Delete, &[Owner, TemplateAdmin, OrgAdmin, OrgTemplateAdmin]),
    (Resource::Template, Use, &[Owner, TemplateAdmin, OrgMember]),
    (Resource::Workspace, Create, &[Owner, OrgAdmin, Own]),
    (Resource::Workspace, Read, &[Owner, TemplateAdmin, OrgAdmin, OrgTemplateAdmin, Own]),
    (Resource::Workspace, Start, &[Owner, OrgAdmin, Own]),
    (Resource::Workspace, Stop, &[Owner, OrgAdmin, Own]),
    (Resource::Workspace, Interrupt, &[Owner]),
    (Resource::Workspace, Delete, &[Owner, OrgAdmin, Own]),
    // A user is an object of the site, and of each organization that they are a member of.
    (Resource::User, Create, &[Owner, UserAdmin]),
    (Resource::User, Read, &[Owner, UserAdmin, TemplateAdmin, Auditor, OrgAdmin, OrgUserAdmin, Own]),
    (Resource::User, Update, &[Owner, UserAdmin]),
    (Resource::User, Delete, &[Owner, UserAdmin]),
    (Resource::User, ReadPersonal, &[Owner, UserAdmin, Own]),
    (Resource::User, UpdatePersonal, &[Owner, UserAdmin, Own]),
    (Resource::AssignRole, Read, &[Anyone]),
    (Resource::AssignRole, Assign, &[Owner, UserAdmin]),
    (Resource::AssignRole, Unassign, &[Owner, UserAdmin]),
    (Resource::ApiKey, Create, &[Owner, Own]),
    (Resource::ApiKey, Read, &[Owner, Own]),
    (Resource::ApiKey, Update, &[Owner, Own]),
    (Resource::ApiKey, Delete, &[Owner, Own]),
];

/// What a role takes away from those who have it, of all that they hold in its organization; what they hold of the whole
/// site stays.
pub const BANS: &[(Resource, Action, OrganizationRole)] = &[
    (Resource::Workspace, Create, OrganizationRole::WorkspaceCreationBan),
    (Resource::Workspace, Delete, OrganizationRole::WorkspaceCreationBan),
];

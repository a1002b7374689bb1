//! Roles: those of the site, and those that every organization has. What they may do stands in the table.

use sea_orm::{DeriveActiveEnum, EnumIter};

/// A role of the whole site. Everybody who has an account is a member without saying so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum SiteRole {
    /// Everything, everywhere.
    #[sea_orm(string_value = "owner")]
    Owner,
    /// Accounts, and who is a member of which organization.
    #[sea_orm(string_value = "user-admin")]
    UserAdmin,
    /// The templates of all organizations, and the keys of their daemons.
    #[sea_orm(string_value = "template-admin")]
    TemplateAdmin,
    /// Reads what happened.
    #[sea_orm(string_value = "auditor")]
    Auditor,
}

impl SiteRole {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Owner, Self::UserAdmin, Self::TemplateAdmin, Self::Auditor];

    /// The role's name, as clients and grants have it.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::UserAdmin => "user-admin",
            Self::TemplateAdmin => "template-admin",
            Self::Auditor => "auditor",
        }
    }

    /// The role's name for people.
    #[must_use]
    pub fn display(self) -> &'static str {
        match self {
            Self::Owner => "Owner",
            Self::UserAdmin => "User Admin",
            Self::TemplateAdmin => "Template Admin",
            Self::Auditor => "Auditor",
        }
    }

    /// The role of this name.
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.text() == text)
    }
}

/// What every account is; never granted, so never in a list of roles.
pub const SITE_MEMBER: &str = "member";
/// What every member of an organization is; never granted, so never in a list of roles.
pub const ORGANIZATION_MEMBER: &str = "organization-member";

/// A role that every organization has. Membership alone is no role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum OrganizationRole {
    /// Everything in the organization.
    #[sea_orm(string_value = "organization-admin")]
    Admin,
    /// Who is a member.
    #[sea_orm(string_value = "organization-user-admin")]
    UserAdmin,
    /// Its templates, and what runs their jobs.
    #[sea_orm(string_value = "organization-template-admin")]
    TemplateAdmin,
    /// Reads what happened in it.
    #[sea_orm(string_value = "organization-auditor")]
    Auditor,
    /// Takes away: no workspaces are created or deleted, whatever else the member holds in the organization.
    #[sea_orm(string_value = "organization-workspace-creation-ban")]
    WorkspaceCreationBan,
}

impl OrganizationRole {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Admin, Self::UserAdmin, Self::TemplateAdmin, Self::Auditor, Self::WorkspaceCreationBan];

    /// The role's name, as clients and grants have it.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Admin => "organization-admin",
            Self::UserAdmin => "organization-user-admin",
            Self::TemplateAdmin => "organization-template-admin",
            Self::Auditor => "organization-auditor",
            Self::WorkspaceCreationBan => "organization-workspace-creation-ban",
        }
    }

    /// The role's name for people.
    #[must_use]
    pub fn display(self) -> &'static str {
        match self {
            Self::Admin => "Organization Admin",
            Self::UserAdmin => "Organization User Admin",
            Self::TemplateAdmin => "Organization Template Admin",
            Self::Auditor => "Organization Auditor",
            Self::WorkspaceCreationBan => "Organization Workspace Creation Ban",
        }
    }

    /// The role of this name.
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.text() == text)
    }
}

/// Whether a name is of a role that the server brings, so that no custom role can have it.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    let is = |text: &str| text.eq_ignore_ascii_case(name);
    is(SITE_MEMBER)
        || is(ORGANIZATION_MEMBER)
        || SiteRole::ALL.iter().any(|role| is(role.text()))
        || OrganizationRole::ALL.iter().any(|role| is(role.text()))
}

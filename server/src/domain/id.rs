//! Identifiers, one type each, so that one can't be passed for another. They are the column types as well.

use sea_orm::{DbErr, DeriveValueType, TryFromU64};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, DeriveValueType)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new id; ids made later sort later, to the millisecond.
            #[must_use]
            #[allow(clippy::new_without_default)]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// Reads the hyphenated form, in any case; any other form of a UUID isn't one here.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                parse_hyphenated(text).map(Self)
            }
        }

        // A primary key must say this; none of ours is a number that the database counts.
        impl TryFromU64 for $name {
            fn try_from_u64(_: u64) -> Result<Self, DbErr> {
                Err(DbErr::ConvertFromU64(stringify!($name)))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

ids! {
    /// An organization.
    OrganizationId
    /// A user.
    UserId
    /// A grant of a role.
    RoleGrantId
    /// A role of an organization's making.
    CustomRoleId
    /// An entry of the audit log.
    AuditId
    /// A provisioner key.
    ProvisionerKeyId
    /// One secret of a provisioner key.
    ProvisionerKeySecretId
    /// A provisioner daemon, over all its sessions.
    DaemonId
    /// An uploaded file.
    FileId
    /// A provisioner job.
    JobId
    /// A template.
    TemplateId
    /// A version of a template.
    TemplateVersionId
    /// A workspace.
    WorkspaceId
    /// A build of a workspace.
    BuildId
    /// A resource of a build or an import.
    ResourceId
}

/// The UUID in its hyphenated form of 36 characters, or `None`.
#[must_use]
pub fn parse_hyphenated(text: &str) -> Option<Uuid> {
    (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten()
}

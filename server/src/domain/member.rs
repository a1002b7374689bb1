//! What a membership can be, and where its roles come from.

use sea_orm::{DeriveActiveEnum, EnumIter};

/// Whether a membership counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum MembershipStatus {
    /// It does.
    #[sea_orm(string_value = "active")]
    Active,
}

/// On which side of the organization a member stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum Audience {
    /// Runs it.
    #[sea_orm(string_value = "operating")]
    Operating,
}

/// Who gave a role, and so who may take it away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum GrantSource {
    /// Somebody by hand, or the server itself.
    #[sea_orm(string_value = "manual")]
    Manual,
}

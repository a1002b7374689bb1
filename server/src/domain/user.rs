//! What an account can be.

use sea_orm::{DeriveActiveEnum, EnumIter};

/// Whether a user may come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum UserStatus {
    /// Seen.
    #[sea_orm(string_value = "active")]
    Active,
    /// Never seen, or not for long; the first authenticated call makes the user active.
    #[sea_orm(string_value = "dormant")]
    Dormant,
    /// Kept out.
    #[sea_orm(string_value = "suspended")]
    Suspended,
}

impl UserStatus {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Active, Self::Dormant, Self::Suspended];

    /// As clients know it.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Dormant => "dormant",
            Self::Suspended => "suspended",
        }
    }

    /// The one that clients know so.
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.text() == text)
    }
}

/// How a user signs in, and how a key came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum LoginType {
    /// With a password.
    #[sea_orm(string_value = "password")]
    Password,
    /// Keys only: with a token, which lives for as long as it was made for.
    #[sea_orm(string_value = "token")]
    Token,
    /// Not at all: with tokens that others make.
    #[sea_orm(string_value = "none")]
    None,
}

impl LoginType {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Password, Self::Token, Self::None];

    /// As clients know it.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Token => "token",
            Self::None => "none",
        }
    }

    /// The one that clients know so.
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|login_type| login_type.text() == text)
    }
}

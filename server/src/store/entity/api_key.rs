//! `api_key`: sessions and tokens of users.

use sea_orm::entity::prelude::*;

use crate::domain::Timestamp;
use crate::domain::id::UserId;
use crate::domain::user::LoginType;

/// A session or token.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "api_key")]
pub struct Model {
    /// The public part of the token.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// SHA-256 of the secret part.
    pub secret_sha256: Vec<u8>,
    /// Whose it is.
    pub user_id: UserId,
    /// How it was got.
    pub login_type: LoginType,
    /// Empty for sessions.
    pub token_name: String,
    /// What it may be used for.
    pub scope: String,
    /// How long each use keeps it alive.
    pub lifetime_seconds: i64,
    /// From where it was made.
    pub ip_address: String,
    /// Its last use, to the hour.
    pub last_used_at: Timestamp,
    /// Its end.
    pub expires_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiKey").field("id", &self.id).field("user_id", &self.user_id).finish_non_exhaustive()
    }
}

/// None.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

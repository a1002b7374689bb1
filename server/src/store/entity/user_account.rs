//! `user_account`: people and machines that have an account.

use sea_orm::entity::prelude::*;

use crate::domain::Timestamp;
use crate::domain::id::UserId;
use crate::domain::user::{LoginType, UserStatus};

/// A user.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "user_account")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: UserId,
    /// Unique in any case among those that live.
    pub username: String,
    /// In lower case; unique among those that live.
    pub email: String,
    /// The real name.
    pub name: String,
    /// A picture.
    pub avatar_url: String,
    /// Argon2id in PHC form; empty where there is no password.
    pub password_hash: String,
    /// How the user signs in.
    pub login_type: LoginType,
    /// Whether they may.
    pub status: UserStatus,
    /// Gone, but the row is kept.
    pub deleted: bool,
    /// Their last call, to the hour.
    pub last_seen_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").field("id", &self.id).field("username", &self.username).finish_non_exhaustive()
    }
}

/// None.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

//! `blob`: bytes by their content.

use sea_orm::entity::prelude::*;

use crate::domain::Timestamp;

/// What is known of the bytes; they are in `blob_chunk`.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "blob")]
pub struct Model {
    /// SHA-256 in lower-case hex.
    #[sea_orm(primary_key, auto_increment = false)]
    pub sha256: String,
    /// Bytes.
    pub size: i64,
    /// When they were first stored.
    pub created_at: Timestamp,
}

/// None.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

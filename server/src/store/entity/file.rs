//! `file`: archives that people uploaded.

use sea_orm::entity::prelude::*;

use crate::domain::Timestamp;
use crate::domain::id::{FileId, UserId};

/// One user's upload of one content.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "file")]
pub struct Model {
    /// The id that requests name it by.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: FileId,
    /// The blob with its bytes.
    pub sha256: String,
    /// As uploaded.
    pub content_type: String,
    /// Who uploaded it.
    pub created_by: UserId,
    /// When they did so first.
    pub created_at: Timestamp,
}

/// None.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

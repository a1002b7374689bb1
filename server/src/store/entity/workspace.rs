//! `workspace`.

use sea_orm::entity::prelude::*;

use crate::domain::Timestamp;
use crate::domain::id::{OrganizationId, TemplateId, UserId, WorkspaceId};

/// What a template's builds start, stop and delete for one owner.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "workspace")]
pub struct Model {
    /// The workspace's id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: WorkspaceId,
    /// Its template's.
    pub organization_id: OrganizationId,
    /// Whose it is.
    pub owner_id: UserId,
    /// What it is made from.
    pub template_id: TemplateId,
    /// Unique among the owner's live workspaces, in any case.
    pub name: String,
    /// Its deletion succeeded.
    pub deleted: bool,
    /// When it was last connected to.
    pub last_used_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// None.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

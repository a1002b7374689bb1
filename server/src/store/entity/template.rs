//! `template`.

use sea_orm::entity::prelude::*;

use crate::domain::Timestamp;
use crate::domain::engine::Engine;
use crate::domain::id::{OrganizationId, TemplateId, TemplateVersionId, UserId};

/// What workspaces are made from.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "template")]
pub struct Model {
    /// The template's id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: TemplateId,
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// Unique among the organization's live templates, in any case.
    pub name: String,
    /// For people; may be empty.
    pub display_name: String,
    /// For people; may be empty.
    pub description: String,
    /// A URL or path of an image; may be empty.
    pub icon: String,
    /// What runs its versions.
    pub engine: Engine,
    /// What new workspaces are built from.
    pub active_version_id: TemplateVersionId,
    /// Owners of workspaces may cancel builds of theirs.
    pub allow_user_cancel_workspace_jobs: bool,
    /// Who made it.
    pub created_by: UserId,
    /// It can't be used any more.
    pub deleted: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// None.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

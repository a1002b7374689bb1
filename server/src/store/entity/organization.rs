//! `organization`: the boundary around members, templates, workspaces and daemons.

use sea_orm::entity::prelude::*;

use crate::domain::Timestamp;
use crate::domain::id::OrganizationId;

/// An organization.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "organization")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: OrganizationId,
    /// Unique in any case among those that live.
    pub name: String,
    /// For people.
    pub display_name: String,
    /// In words.
    pub description: String,
    /// A URL or path of a picture.
    pub icon: String,
    /// The one that the deployment started with.
    pub is_default: bool,
    /// Gone, but its rows are kept.
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

//! `custom_role`: a role of an organization's making.

use sea_orm::entity::prelude::*;

use crate::domain::Timestamp;
use crate::domain::id::{CustomRoleId, OrganizationId};

/// A role.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "custom_role")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: CustomRoleId,
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// Its name, which grants name it by; it never changes.
    pub name: String,
    /// Its name for people.
    pub display_name: String,
    /// What it grants, as `permission::stored` writes it.
    pub permissions: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// None.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

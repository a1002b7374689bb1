//! `provisioner_key`: what an organization's daemons authenticate with.

use sea_orm::entity::prelude::*;

use crate::domain::Timestamp;
use crate::domain::id::{OrganizationId, ProvisionerKeyId};
use crate::domain::provisioner_key::KeyTags;

/// A key without its secrets.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "provisioner_key")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ProvisionerKeyId,
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// In lower case; unique in the organization.
    pub name: String,
    /// What the operator put on it.
    pub tags: KeyTags,
    /// In words.
    pub description: String,
    /// Its last use, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// None.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

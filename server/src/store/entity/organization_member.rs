//! `organization_member`: who belongs to which organization.

use sea_orm::entity::prelude::*;

use crate::domain::Timestamp;
use crate::domain::id::{OrganizationId, UserId};
use crate::domain::member::{Audience, MembershipStatus};

/// A membership.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "organization_member")]
pub struct Model {
    /// Where.
    #[sea_orm(primary_key, auto_increment = false)]
    pub organization_id: OrganizationId,
    /// Who.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// Whether it counts.
    pub status: MembershipStatus,
    /// On which side.
    pub audience: Audience,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// None.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

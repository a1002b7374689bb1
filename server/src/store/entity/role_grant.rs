//! `role_grant`: a role that somebody holds, and who gave it.

use sea_orm::entity::prelude::*;

use crate::domain::Timestamp;
use crate::domain::id::{OrganizationId, RoleGrantId, UserId};
use crate::domain::member::GrantSource;

/// A grant.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "role_grant")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: RoleGrantId,
    /// Who holds it.
    pub user_id: UserId,
    /// Where; `None` for the whole site.
    pub organization_id: Option<OrganizationId>,
    /// A `SiteRole` or, in an organization, an `OrganizationRole`.
    pub role: String,
    /// Who gave it.
    pub source: GrantSource,
    /// When.
    pub created_at: Timestamp,
}

/// None.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

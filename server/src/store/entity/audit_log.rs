//! `audit_log`: what was done.

use sea_orm::entity::prelude::*;
use uuid::Uuid;

use crate::domain::Timestamp;
use crate::domain::id::{AuditId, OrganizationId, UserId};

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_log")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: AuditId,
    /// When it was done.
    pub time: Timestamp,
    /// In which request.
    pub request_id: Uuid,
    /// By whom; `None` for those who aren't known.
    pub user_id: Option<UserId>,
    /// In which organization; `None` for what is of the site.
    pub organization_id: Option<OrganizationId>,
    /// From where; empty when that isn't known.
    pub ip: String,
    /// With what, as it says itself.
    pub user_agent: String,
    /// What was done.
    pub action: String,
    /// To what kind of thing.
    pub resource_type: String,
    /// To which; `None` when none was found.
    pub resource_id: Option<Uuid>,
    /// Its name.
    pub resource_target: String,
    /// Its picture.
    pub resource_icon: String,
    /// Empty for what was done, else why not: a `Reason`.
    pub outcome: String,
    /// JSON: the fields that it changed, from what to what; secrets aren't in it.
    pub diff: String,
    /// JSON: what else is to be known.
    pub additional_fields: String,
}

/// None.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

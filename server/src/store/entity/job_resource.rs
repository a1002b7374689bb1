//! `job_resource`: what a build made, or an import found that builds would make.

use sea_orm::entity::prelude::*;

use crate::domain::Timestamp;
use crate::domain::id::{JobId, ResourceId};
use crate::domain::workspace::Transition;

/// A resource of a job.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "job_resource")]
pub struct Model {
    /// The resource's id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ResourceId,
    /// The job that reported it.
    pub job_id: JobId,
    /// The transition that leaves it in place.
    pub transition: Transition,
    /// Its type, as the engine names it.
    #[sea_orm(column_name = "type")]
    pub kind: String,
    /// Its name in the template.
    pub name: String,
    /// Its address in the engine's state.
    pub address: String,
    /// The module that it stands in; empty for the root.
    pub module_path: String,
    /// Consoles don't show it.
    pub hide: bool,
    /// A URL or path of an image; may be empty.
    pub icon: String,
    /// What it costs a day.
    pub daily_cost: i32,
    /// Sealed JSON: a list of {key, value, sensitive}.
    pub metadata: Vec<u8>,
    /// When it was stored.
    pub created_at: Timestamp,
}

/// None.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

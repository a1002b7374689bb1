//! `job_timing`: how long a job's steps took.

use sea_orm::entity::prelude::*;

use crate::domain::Timestamp;
use crate::domain::id::JobId;

/// A step of a job.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "job_timing")]
pub struct Model {
    /// The job that reported it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub job_id: JobId,
    /// Its place in the report.
    #[sea_orm(primary_key, auto_increment = false)]
    pub position: i32,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// `init`, `plan`, `graph` or `apply`.
    pub stage: String,
    /// The provider or the engine.
    pub source: String,
    /// What was done.
    pub action: String,
    /// To what.
    pub resource: String,
}

/// None.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

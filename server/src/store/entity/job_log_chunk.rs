//! `job_log_chunk`: lines of a job's log, one row for each batch that came.

use sea_orm::entity::prelude::*;

use crate::domain::id::JobId;

/// Some lines that follow each other.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "job_log_chunk")]
pub struct Model {
    /// The job.
    #[sea_orm(primary_key, auto_increment = false)]
    pub job_id: JobId,
    /// The first line's number.
    #[sea_orm(primary_key, auto_increment = false)]
    pub first_number: i64,
    /// How many lines.
    pub line_count: i32,
    /// The lines, compressed.
    pub data: Vec<u8>,
}

/// None.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

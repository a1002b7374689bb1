//! `job_log_head`: where a job's log ends; narrow, because it changes with every batch.

use sea_orm::entity::prelude::*;

use crate::domain::id::JobId;

/// The end of a log.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "job_log_head")]
pub struct Model {
    /// The job.
    #[sea_orm(primary_key, auto_increment = false)]
    pub job_id: JobId,
    /// The number that the next line has.
    pub next_number: i64,
    /// Output so far.
    pub bytes: i64,
    /// The log reached its cap and was cut.
    pub overflowed: bool,
    /// Lines of the server's own that stand before those that are still taken of a lost job: its daemon doesn't count them.
    pub shift: i64,
}

/// None.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

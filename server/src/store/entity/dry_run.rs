//! `dry_run`: what the job of one was asked to plan. The version is the job's.

use sea_orm::entity::prelude::*;

use crate::domain::id::JobId;

/// A dry run.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "dry_run")]
pub struct Model {
    /// The job that does it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub job_id: JobId,
    /// The name that the workspace would have; may be empty.
    pub workspace_name: String,
    /// Sealed JSON: values of template variables by their names, which take the place of the version's.
    pub user_variable_values: Vec<u8>,
}

/// None.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

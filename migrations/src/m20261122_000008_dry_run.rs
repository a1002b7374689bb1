//! What dry runs were asked to plan.

use sea_orm_migration::prelude::*;

use crate::sql;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const TABLES: &[&str] = &["dry_run"];

const UP: &[&str] = &["CREATE TABLE dry_run (
         job_id {uuid} PRIMARY KEY REFERENCES provisioner_job (id) ON DELETE CASCADE,
         workspace_name text NOT NULL,
         user_variable_values {bytes} NOT NULL
     )"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        sql::run(manager, UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        sql::drop_tables(manager, TABLES).await
    }
}

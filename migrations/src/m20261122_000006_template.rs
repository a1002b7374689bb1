//! Templates, their versions, and what imports found in them.

use sea_orm_migration::prelude::*;

use crate::sql;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const TABLES: &[&str] = &["template", "template_version", "template_version_variable"];

const UP: &[&str] = &[
    "CREATE TABLE template (
         id {uuid} PRIMARY KEY,
         organization_id {uuid} NOT NULL REFERENCES organization (id),
         name text NOT NULL,
         display_name text NOT NULL,
         description text NOT NULL,
         icon text NOT NULL,
         engine text NOT NULL,
         active_version_id {uuid} NOT NULL,
         allow_user_cancel_workspace_jobs boolean NOT NULL,
         created_by {uuid} NOT NULL REFERENCES user_account (id),
         deleted boolean NOT NULL,
         created_at bigint NOT NULL,
         updated_at bigint NOT NULL
     )",
    "CREATE UNIQUE INDEX template_name ON template (organization_id, lower(name)) WHERE NOT deleted",
    "CREATE TABLE template_version (
         id {uuid} PRIMARY KEY,
         organization_id {uuid} NOT NULL REFERENCES organization (id),
         template_id {uuid} REFERENCES template (id),
         job_id {uuid} NOT NULL REFERENCES provisioner_job (id),
         name text NOT NULL,
         message text NOT NULL,
         readme text NOT NULL,
         user_variable_values {bytes} NOT NULL,
         lock_file text NOT NULL,
         archived boolean NOT NULL,
         created_by {uuid} NOT NULL REFERENCES user_account (id),
         created_at bigint NOT NULL,
         updated_at bigint NOT NULL
     )",
    "CREATE UNIQUE INDEX template_version_name ON template_version (template_id, lower(name)) WHERE template_id IS NOT NULL",
    "CREATE INDEX template_version_job ON template_version (job_id)",
    "CREATE TABLE template_version_variable (
         template_version_id {uuid} NOT NULL REFERENCES template_version (id) ON DELETE CASCADE,
         position integer NOT NULL,
         name text NOT NULL,
         description text NOT NULL,
         type text NOT NULL,
         default_value {bytes} NOT NULL,
         required boolean NOT NULL,
         sensitive boolean NOT NULL,
         value {bytes} NOT NULL,
         PRIMARY KEY (template_version_id, position)
     )",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        sql::run(manager, UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        sql::drop_tables(manager, TABLES).await
    }
}

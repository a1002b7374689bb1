//! What was done, by whom, from where. Rows are written once and only ever deleted, by their age.

use sea_orm_migration::prelude::*;

use crate::sql;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const TABLES: &[&str] = &["audit_log"];

const UP: &[&str] = &[
    // What it names may be gone: no references.
    "CREATE TABLE audit_log (
         id {uuid} PRIMARY KEY,
         time bigint NOT NULL,
         request_id {uuid} NOT NULL,
         user_id {uuid},
         organization_id {uuid},
         ip text NOT NULL,
         user_agent text NOT NULL,
         action text NOT NULL,
         resource_type text NOT NULL,
         resource_id {uuid},
         resource_target text NOT NULL,
         resource_icon text NOT NULL,
         outcome text NOT NULL,
         diff text NOT NULL,
         additional_fields text NOT NULL
     )",
    "CREATE INDEX audit_log_time ON audit_log (time, id)",
    "CREATE INDEX audit_log_organization ON audit_log (organization_id, time, id)",
    "CREATE INDEX audit_log_user ON audit_log (user_id, time, id)",
    "CREATE INDEX audit_log_resource ON audit_log (resource_id, time, id)",
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

//! Roles of an organization's making.

use sea_orm_migration::prelude::*;

use crate::sql;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const TABLES: &[&str] = &["custom_role"];

const UP: &[&str] = &[
    "CREATE TABLE custom_role (
         id {uuid} PRIMARY KEY,
         organization_id {uuid} NOT NULL REFERENCES organization (id),
         name text NOT NULL,
         display_name text NOT NULL,
         permissions text NOT NULL,
         created_at bigint NOT NULL,
         updated_at bigint NOT NULL
     )",
    "CREATE UNIQUE INDEX custom_role_name ON custom_role (organization_id, lower(name))",
    // Who has a role, when it is deleted.
    "CREATE INDEX role_grant_role ON role_grant (organization_id, role)",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        sql::run(manager, UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        sql::run(manager, &["DROP INDEX role_grant_role"]).await?;
        sql::drop_tables(manager, TABLES).await
    }
}

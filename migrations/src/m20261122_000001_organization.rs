//! Organizations, and what a deployment knows of itself.

use sea_orm_migration::prelude::*;

use crate::sql;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const TABLES: &[&str] = &["deployment", "organization"];

const UP: &[&str] = &[
    "CREATE TABLE deployment (
         name text PRIMARY KEY,
         value {bytes} NOT NULL
     )",
    "CREATE TABLE organization (
         id {uuid} PRIMARY KEY,
         name text NOT NULL,
         display_name text NOT NULL,
         description text NOT NULL,
         icon text NOT NULL,
         is_default boolean NOT NULL,
         deleted boolean NOT NULL,
         created_at bigint NOT NULL,
         updated_at bigint NOT NULL
     )",
    "CREATE UNIQUE INDEX organization_name ON organization (lower(name)) WHERE NOT deleted",
    "CREATE UNIQUE INDEX organization_default ON organization (is_default) WHERE is_default",
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

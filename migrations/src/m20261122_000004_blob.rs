//! Bytes by their content, sealed, in rows of at most 1 MiB; and the files that people uploaded.

use sea_orm_migration::prelude::*;

use crate::sql;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const TABLES: &[&str] = &["blob", "blob_chunk", "file"];

const UP: &[&str] = &[
    "CREATE TABLE blob (
         sha256 text PRIMARY KEY,
         size bigint NOT NULL,
         created_at bigint NOT NULL
     )",
    "CREATE TABLE blob_chunk (
         sha256 text NOT NULL REFERENCES blob (sha256) ON DELETE CASCADE,
         position integer NOT NULL,
         data {bytes} NOT NULL,
         PRIMARY KEY (sha256, position)
     )",
    "CREATE TABLE file (
         id {uuid} PRIMARY KEY,
         sha256 text NOT NULL REFERENCES blob (sha256),
         content_type text NOT NULL,
         created_by {uuid} NOT NULL REFERENCES user_account (id),
         created_at bigint NOT NULL
     )",
    "CREATE UNIQUE INDEX file_content ON file (sha256, created_by)",
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

//! Provisioner keys with their secrets, and the daemons that connected with them.

use sea_orm_migration::prelude::*;

use crate::sql;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const TABLES: &[&str] = &["provisioner_key", "provisioner_key_secret", "provisioner_daemon"];

const UP: &[&str] = &[
    "CREATE TABLE provisioner_key (
         id {uuid} PRIMARY KEY,
         organization_id {uuid} NOT NULL REFERENCES organization (id),
         name text NOT NULL,
         tags text NOT NULL,
         description text NOT NULL,
         last_used_at bigint,
         created_at bigint NOT NULL
     )",
    "CREATE UNIQUE INDEX provisioner_key_name ON provisioner_key (organization_id, name)",
    "CREATE TABLE provisioner_key_secret (
         id {uuid} PRIMARY KEY,
         key_id {uuid} NOT NULL REFERENCES provisioner_key (id) ON DELETE CASCADE,
         secret_sha256 {bytes} NOT NULL,
         expires_at bigint,
         revoked_at bigint,
         created_at bigint NOT NULL
     )",
    "CREATE UNIQUE INDEX provisioner_key_secret_sha256 ON provisioner_key_secret (secret_sha256)",
    "CREATE INDEX provisioner_key_secret_key ON provisioner_key_secret (key_id)",
    "CREATE TABLE provisioner_daemon (
         id {uuid} PRIMARY KEY,
         organization_id {uuid} NOT NULL REFERENCES organization (id),
         key_id {uuid} NOT NULL REFERENCES provisioner_key (id) ON DELETE CASCADE,
         name text NOT NULL,
         instance_id text NOT NULL,
         version text NOT NULL,
         protocol_version text NOT NULL,
         engines text NOT NULL,
         tags text NOT NULL,
         capacity integer NOT NULL,
         last_seen_at bigint,
         left_at bigint,
         created_at bigint NOT NULL
     )",
    "CREATE UNIQUE INDEX provisioner_daemon_name ON provisioner_daemon (organization_id, lower(name))",
    "CREATE INDEX provisioner_daemon_key ON provisioner_daemon (key_id)",
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

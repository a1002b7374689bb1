//! What daemons hand in of jobs that were given up: under which lease, where their lines go, and the states that come too
//! late to be a build's.

use sea_orm_migration::prelude::*;

use crate::sql;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const UP: &[&str] = &[
    "ALTER TABLE provisioner_job ADD COLUMN lost_lease_id text",
    "ALTER TABLE job_log_head ADD COLUMN shift bigint NOT NULL DEFAULT 0",
    "ALTER TABLE workspace_build ADD COLUMN salvaged_sha256 text REFERENCES blob (sha256)",
    "ALTER TABLE workspace_build ADD COLUMN salvaged_serial bigint NOT NULL DEFAULT 0",
];

const DOWN: &[&str] = &[
    "ALTER TABLE workspace_build DROP COLUMN salvaged_serial",
    "ALTER TABLE workspace_build DROP COLUMN salvaged_sha256",
    "ALTER TABLE job_log_head DROP COLUMN shift",
    "ALTER TABLE provisioner_job DROP COLUMN lost_lease_id",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        sql::run(manager, UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        sql::run(manager, DOWN).await
    }
}

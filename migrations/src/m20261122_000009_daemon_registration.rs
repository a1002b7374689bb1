//! When a daemon last connected: what ends later, but began before, doesn't concern it.

use sea_orm_migration::prelude::*;

use crate::sql;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const UP: &[&str] = &["ALTER TABLE provisioner_daemon ADD COLUMN registered_at bigint NOT NULL DEFAULT 0"];

const DOWN: &[&str] = &["ALTER TABLE provisioner_daemon DROP COLUMN registered_at"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        sql::run(manager, UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        sql::run(manager, DOWN).await
    }
}

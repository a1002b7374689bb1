//! Jobs, their logs, and which bytes they handed in.

use sea_orm_migration::prelude::*;

use crate::sql;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const TABLES: &[&str] = &["provisioner_job", "job_log_head", "job_log_chunk", "job_upload"];

const UP: &[&str] = &[
    "CREATE TABLE provisioner_job (
         id {uuid} PRIMARY KEY,
         organization_id {uuid} NOT NULL REFERENCES organization (id),
         initiator_id {uuid} NOT NULL REFERENCES user_account (id),
         type text NOT NULL,
         engine text NOT NULL,
         tags text NOT NULL,
         automatic boolean NOT NULL,
         file_id {uuid} NOT NULL REFERENCES file (id),
         template_version_id {uuid},
         workspace_build_id {uuid},
         status text NOT NULL,
         attempt integer NOT NULL,
         losses integer NOT NULL,
         lease_id text,
         lease_expires_at bigint,
         worker_id {uuid},
         worker_name text NOT NULL,
         apply_permitted_at bigint,
         error text NOT NULL,
         error_code text NOT NULL,
         created_at bigint NOT NULL,
         updated_at bigint NOT NULL,
         started_at bigint,
         canceled_at bigint,
         completed_at bigint
     )",
    "CREATE INDEX provisioner_job_pending ON provisioner_job (organization_id, engine, tags, created_at)
         WHERE status = 'pending'",
    "CREATE INDEX provisioner_job_leased ON provisioner_job (lease_expires_at) WHERE status IN ('running', 'canceling')",
    "CREATE INDEX provisioner_job_busy ON provisioner_job (organization_id, initiator_id)
         WHERE status IN ('running', 'canceling')",
    "CREATE INDEX provisioner_job_organization ON provisioner_job (organization_id, created_at)",
    "CREATE INDEX provisioner_job_worker ON provisioner_job (worker_id, created_at)",
    "CREATE TABLE job_log_head (
         job_id {uuid} PRIMARY KEY REFERENCES provisioner_job (id) ON DELETE CASCADE,
         next_number bigint NOT NULL,
         bytes bigint NOT NULL,
         overflowed boolean NOT NULL
     )",
    "CREATE TABLE job_log_chunk (
         job_id {uuid} NOT NULL REFERENCES provisioner_job (id) ON DELETE CASCADE,
         first_number bigint NOT NULL,
         line_count integer NOT NULL,
         data {bytes} NOT NULL,
         PRIMARY KEY (job_id, first_number)
     )",
    "CREATE TABLE job_upload (
         job_id {uuid} NOT NULL REFERENCES provisioner_job (id) ON DELETE CASCADE,
         sha256 text NOT NULL REFERENCES blob (sha256),
         PRIMARY KEY (job_id, sha256)
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

//! Workspaces, their builds, and what builds and imports leave: resources, and how long their steps took.

use sea_orm_migration::prelude::*;

use crate::sql;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const TABLES: &[&str] = &["workspace", "workspace_build", "job_resource", "job_timing"];

const UP: &[&str] = &[
    "CREATE TABLE workspace (
         id {uuid} PRIMARY KEY,
         organization_id {uuid} NOT NULL REFERENCES organization (id),
         owner_id {uuid} NOT NULL REFERENCES user_account (id),
         template_id {uuid} NOT NULL REFERENCES template (id),
         name text NOT NULL,
         deleted boolean NOT NULL,
         last_used_at bigint,
         created_at bigint NOT NULL,
         updated_at bigint NOT NULL
     )",
    "CREATE UNIQUE INDEX workspace_name ON workspace (owner_id, lower(name)) WHERE NOT deleted",
    "CREATE INDEX workspace_organization ON workspace (organization_id) WHERE NOT deleted",
    "CREATE INDEX workspace_template ON workspace (template_id) WHERE NOT deleted",
    "CREATE TABLE workspace_build (
         id {uuid} PRIMARY KEY,
         workspace_id {uuid} NOT NULL REFERENCES workspace (id),
         build_number integer NOT NULL,
         template_version_id {uuid} NOT NULL REFERENCES template_version (id),
         job_id {uuid} NOT NULL REFERENCES provisioner_job (id),
         initiator_id {uuid} NOT NULL REFERENCES user_account (id),
         transition text NOT NULL,
         reason text NOT NULL,
         state_sha256 text REFERENCES blob (sha256),
         state_lineage text NOT NULL,
         state_serial bigint NOT NULL,
         daily_cost integer NOT NULL,
         created_at bigint NOT NULL,
         updated_at bigint NOT NULL
     )",
    "CREATE UNIQUE INDEX workspace_build_number ON workspace_build (workspace_id, build_number)",
    "CREATE INDEX workspace_build_job ON workspace_build (job_id)",
    "CREATE TABLE job_resource (
         id {uuid} PRIMARY KEY,
         job_id {uuid} NOT NULL REFERENCES provisioner_job (id) ON DELETE CASCADE,
         transition text NOT NULL,
         type text NOT NULL,
         name text NOT NULL,
         address text NOT NULL,
         module_path text NOT NULL,
         hide boolean NOT NULL,
         icon text NOT NULL,
         daily_cost integer NOT NULL,
         metadata {bytes} NOT NULL,
         created_at bigint NOT NULL
     )",
    "CREATE INDEX job_resource_job ON job_resource (job_id)",
    "CREATE TABLE job_timing (
         job_id {uuid} NOT NULL REFERENCES provisioner_job (id) ON DELETE CASCADE,
         position integer NOT NULL,
         started_at bigint NOT NULL,
         ended_at bigint NOT NULL,
         stage text NOT NULL,
         source text NOT NULL,
         action text NOT NULL,
         resource text NOT NULL,
         PRIMARY KEY (job_id, position)
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

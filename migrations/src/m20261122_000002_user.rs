//! Users, their sessions and tokens, their roles and memberships.

use sea_orm_migration::prelude::*;

use crate::sql;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const TABLES: &[&str] = &["user_account", "api_key", "organization_member", "role_grant"];

const UP: &[&str] = &[
    "CREATE TABLE user_account (
         id {uuid} PRIMARY KEY,
         username text NOT NULL,
         email text NOT NULL,
         name text NOT NULL,
         avatar_url text NOT NULL,
         password_hash text NOT NULL,
         login_type text NOT NULL,
         status text NOT NULL,
         deleted boolean NOT NULL,
         last_seen_at bigint,
         created_at bigint NOT NULL,
         updated_at bigint NOT NULL
     )",
    "CREATE UNIQUE INDEX user_account_username ON user_account (lower(username)) WHERE NOT deleted",
    "CREATE UNIQUE INDEX user_account_email ON user_account (lower(email)) WHERE NOT deleted AND email <> ''",
    "CREATE TABLE api_key (
         id text PRIMARY KEY,
         secret_sha256 {bytes} NOT NULL,
         user_id {uuid} NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
         login_type text NOT NULL,
         token_name text NOT NULL,
         scope text NOT NULL,
         lifetime_seconds bigint NOT NULL,
         ip_address text NOT NULL,
         last_used_at bigint NOT NULL,
         expires_at bigint NOT NULL,
         created_at bigint NOT NULL,
         updated_at bigint NOT NULL
     )",
    "CREATE INDEX api_key_user ON api_key (user_id)",
    "CREATE TABLE organization_member (
         organization_id {uuid} NOT NULL REFERENCES organization (id),
         user_id {uuid} NOT NULL REFERENCES user_account (id),
         status text NOT NULL,
         audience text NOT NULL,
         created_at bigint NOT NULL,
         updated_at bigint NOT NULL,
         PRIMARY KEY (organization_id, user_id)
     )",
    "CREATE INDEX organization_member_user ON organization_member (user_id)",
    "CREATE TABLE role_grant (
         id {uuid} PRIMARY KEY,
         user_id {uuid} NOT NULL REFERENCES user_account (id),
         organization_id {uuid} REFERENCES organization (id),
         role text NOT NULL,
         source text NOT NULL,
         created_at bigint NOT NULL
     )",
    "CREATE UNIQUE INDEX role_grant_site ON role_grant (user_id, role, source) WHERE organization_id IS NULL",
    "CREATE UNIQUE INDEX role_grant_organization ON role_grant (user_id, organization_id, role, source)
         WHERE organization_id IS NOT NULL",
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

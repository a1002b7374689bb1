//! The schema of the control plane, one change per file, on SQLite and PostgreSQL alike.
//!
//! A migration never changes once released and never names an entity of the server: its meaning must not move with the
//! code. Changes expand first and contract in a later release, so that the previous server runs on the new schema.

// The migration trait's own signatures elide lifetimes; async_trait demands the same spelling.
#![allow(elided_lifetimes_in_paths)]

mod m20261122_000001_organization;
mod m20261122_000002_user;
mod m20261122_000003_provisioner_daemon;
mod m20261122_000004_blob;
mod m20261122_000005_provisioner_job;
mod m20261122_000006_template;
mod m20261122_000007_workspace;
mod m20261122_000008_dry_run;
mod m20261122_000009_daemon_registration;
mod m20261122_000010_salvage;
mod m20261123_000012_custom_role;
mod m20261123_000013_audit_log;
mod m20261123_000014_token_name;
mod sql;

pub use sea_orm_migration::MigratorTrait;

/// Brings a database to the newest schema.
#[derive(Debug, Clone, Copy)]
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn sea_orm_migration::MigrationTrait>> {
        vec![
            Box::new(m20261122_000001_organization::Migration),
            Box::new(m20261122_000002_user::Migration),
            Box::new(m20261122_000003_provisioner_daemon::Migration),
            Box::new(m20261122_000004_blob::Migration),
            Box::new(m20261122_000005_provisioner_job::Migration),
            Box::new(m20261122_000006_template::Migration),
            Box::new(m20261122_000007_workspace::Migration),
            Box::new(m20261122_000008_dry_run::Migration),
            Box::new(m20261122_000009_daemon_registration::Migration),
            Box::new(m20261122_000010_salvage::Migration),
            Box::new(m20261123_000012_custom_role::Migration),
            Box::new(m20261123_000013_audit_log::Migration),
            Box::new(m20261123_000014_token_name::Migration),
        ]
    }
}

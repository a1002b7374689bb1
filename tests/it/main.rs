//! The end-to-end tests: one program, a module per area.
#![allow(clippy::unwrap_used, clippy::expect_used)]

/// Runs an async test function that takes a [`orgplane_tests::Databases`] on each kind of database.
macro_rules! on_each_database {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test] async fn $name() { super::$name(orgplane_tests::Databases::Sqlite).await; })+
        }
        mod postgres {
            $(#[tokio::test] async fn $name() {
                if orgplane_tests::Databases::Postgres.is_present() {
                    super::$name(orgplane_tests::Databases::Postgres).await;
                }
            })+
        }
    };
}

mod about;
mod audit;
mod authorization;
mod away;
mod bad_input;
mod big_output;
mod builds;
mod built_in_daemons;
mod canary;
mod cancels;
mod cli;
mod cli_auth;
mod coder_cli;
mod commands;
mod compatibility;
mod daemon;
mod demo;
mod drain;
mod dry_runs;
mod engine;
mod faults;
mod files;
mod follow;
mod kills;
mod layering;
mod lifecycle;
mod lost_jobs;
mod members;
mod metrics;
mod organizations;
mod orphans_and_states;
mod provisioner_daemons;
mod provisioner_jobs;
mod provisioner_keys;
mod rate_limits;
mod secrets_of_jobs;
mod stream;
mod template_versions;
mod templates;
mod tls;
mod tokens;
mod two_servers;
mod users;
mod workspaces;

//! P13: lists of users, where there are 100,000 in 200 organizations.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use orgplane_proto::identity::v1::ListUsersRequest;
use orgplane_proto::identity::v1::user_service_client::UserServiceClient;
use orgplane_tests::Databases;
use sea_orm::sqlx::{self, Connection as _};

use super::report::{Row, percentiles};
use super::target::{Database, Target};

const USERS: u32 = 100_000;
const ORGANIZATIONS: u32 = 200;
const SAMPLES: u32 = 20;
const PAGE: i32 = 25;

pub(crate) async fn run(database: &Database) -> anyhow::Result<Vec<Row>> {
    let target = Target::start(database).await?;
    fill(&target, database).await;
    let (floor, _) = percentiles(round_trips(&target, database).await?);
    let mut client = UserServiceClient::new(target.owner());
    let middle = ListUsersRequest { q: "u50000@".to_owned(), ..ListUsersRequest::default() };
    let middle = client.list_users(middle).await?.into_inner().users;
    let middle = middle.first().context("a user in the middle")?.id.clone();
    let ask = |q: &str, offset: i32, after_id: &str| ListUsersRequest {
        q: q.to_owned(),
        after_id: after_id.to_owned(),
        limit: PAGE,
        offset,
    };
    let mut rows = Vec::new();
    for (what, request, count) in [
        ("list of users, first 25", ask("", 0, ""), USERS + 1),
        ("the same from the 50,000th by offset", ask("", 50_000, ""), USERS + 1),
        ("the same after a user in the middle", ask("", 0, &middle), USERS + 1),
        ("search for part of a name", ask("u777", 0, ""), 111),
        ("search that finds nobody", ask("nobody-at-all", 0, ""), 0),
        ("search by role and status", ask("role:owner status:active", 0, ""), 1),
    ] {
        let mut samples = Vec::new();
        for _ in 0..SAMPLES {
            let start = Instant::now();
            let reply = client.list_users(request.clone()).await?.into_inner();
            samples.push(start.elapsed());
            anyhow::ensure!(reply.count == i32::try_from(count)?, "{what}: {} were found", reply.count);
        }
        let (p50, _) = percentiles(samples);
        let (what, database) = (format!("{what}, p50"), database.to_string());
        rows.push(Row { id: "P13", what, database, value: p50, floor, unit: "ms" });
    }
    Ok(rows)
}

/// Users `u0`, `u1` and so on, each in one of the organizations.
async fn fill(target: &Target, database: &Database) {
    let numbers = |count: u32| match database.0 {
        Databases::Sqlite => format!(
            "(WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {count}) SELECT i FROM n) n"
        ),
        Databases::Postgres => format!("generate_series(0, {count} - 1) AS n(i)"),
    };
    let (id, no) = match database.0 {
        Databases::Sqlite => ("randomblob(16)", "0"),
        Databases::Postgres => ("gen_random_uuid()", "false"),
    };
    let organizations = numbers(ORGANIZATIONS);
    let users = numbers(USERS);
    for sql in [
        format!(
            "INSERT INTO organization (id, name, display_name, description, icon, is_default, deleted, created_at,
             updated_at) SELECT {id}, 'org-' || i, '', '', '', {no}, {no}, 0, 0 FROM {organizations}"
        ),
        format!(
            "INSERT INTO user_account (id, username, email, name, avatar_url, password_hash, login_type, status, deleted,
             last_seen_at, created_at, updated_at) SELECT {id}, 'u' || i, 'u' || i || '@example.com', '', '', '', 'none',
             'dormant', {no}, NULL, i, i FROM {users}"
        ),
        format!(
            "INSERT INTO organization_member (organization_id, user_id, status, audience, created_at, updated_at)
             SELECT o.id, u.id, 'active', 'operating', 0, 0 FROM user_account u
             JOIN organization o ON o.name = 'org-' || (CAST(substr(u.username, 2) AS integer) % {ORGANIZATIONS})
             WHERE u.login_type = 'none'"
        ),
        "ANALYZE".to_owned(),
    ] {
        target.database().execute(&sql).await;
    }
}

/// What any statement costs.
async fn round_trips(target: &Target, database: &Database) -> anyhow::Result<Vec<Duration>> {
    let url = target.database().url();
    let mut samples = Vec::new();
    match database.0 {
        Databases::Sqlite => {
            let mut connection = sqlx::SqliteConnection::connect(url).await?;
            for _ in 0..500 {
                let start = Instant::now();
                sqlx::query("SELECT 1").execute(&mut connection).await?;
                samples.push(start.elapsed());
            }
            connection.close().await?;
        }
        Databases::Postgres => {
            let mut connection = sqlx::PgConnection::connect(url).await?;
            for _ in 0..500 {
                let start = Instant::now();
                sqlx::query("SELECT 1").execute(&mut connection).await?;
                samples.push(start.elapsed());
            }
            connection.close().await?;
        }
    }
    Ok(samples)
}

//! Databases of deployments, and direct access for what no API of the product gives: counting rows, granting roles.

use std::collections::BTreeMap;
use std::path::Path;

use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend, Statement, Value};
use uuid::Uuid;

use crate::present;
use crate::proxy::Proxy;

/// The kinds of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Databases {
    /// A file.
    Sqlite,
    /// A database of the server that `ORGPLANE_TEST_POSTGRES_URL` names.
    Postgres,
}

impl Databases {
    /// Whether tests may use it; see [`present`].
    #[must_use]
    pub fn is_present(self) -> bool {
        self == Self::Sqlite || present("postgres", std::env::var_os("ORGPLANE_TEST_POSTGRES_URL").is_some())
    }
}

/// One deployment's database.
#[derive(Debug)]
pub struct Database {
    url: String,
    /// Where servers reach it, if not there.
    server_url: Option<String>,
    /// The PostgreSQL server and the database's name, to drop it.
    drop: Option<(String, String)>,
}

impl Database {
    /// A SQLite file in a folder; the server makes it.
    #[must_use]
    pub fn sqlite(folder: &Path) -> Self {
        Self { url: format!("sqlite://{}", folder.join("orgplane.db").display()), server_url: None, drop: None }
    }

    /// A new database of the PostgreSQL server; dropped with the fixture.
    ///
    /// # Panics
    /// When the server can't be reached.
    pub async fn postgres() -> Self {
        let admin = std::env::var("ORGPLANE_TEST_POSTGRES_URL").expect("a PostgreSQL server");
        let name = format!("orgplane_test_{}", Uuid::new_v4().simple());
        let connection = connect(&admin).await;
        connection.execute_unprepared(&format!("CREATE DATABASE {name}")).await.expect("create database");
        connection.close().await.expect("close");
        let (server, query) = admin.split_once('?').map_or((admin.as_str(), ""), |(server, query)| (server, query));
        let (server, _) = server.rsplit_once('/').expect("a database in the URL");
        let query = if query.is_empty() { String::new() } else { format!("?{query}") };
        Self { url: format!("{server}/{name}{query}"), server_url: None, drop: Some((admin, name)) }
    }

    /// What `--database-url` takes.
    #[must_use]
    pub fn url(&self) -> &str {
        self.server_url.as_deref().unwrap_or(&self.url)
    }

    /// Puts a link between servers and a PostgreSQL database; a test itself goes past it.
    ///
    /// # Panics
    /// When its URL names no host.
    pub async fn link(&mut self) -> Proxy {
        let (scheme, rest) = self.url.split_once("://").expect("a scheme");
        let (user, rest) = rest.split_once('@').unwrap_or(("", rest));
        let (host, path) = rest.split_once('/').expect("a database");
        let proxy = Proxy::start(host).await;
        self.server_url = Some(format!("{scheme}://{user}@{}/{path}", proxy.address()));
        proxy
    }

    /// The rows of every table that the API can change, `user_account: 2` and so on. Not of the audit log, which tells of
    /// refused calls as well.
    ///
    /// # Panics
    /// When the database can't be read.
    pub async fn rows(&self) -> BTreeMap<String, i64> {
        let connection = connect(&self.url).await;
        let tables = match connection.get_database_backend() {
            DbBackend::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
            _ => "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'",
        };
        let mut rows = BTreeMap::new();
        for row in query(&connection, tables, []).await {
            let table: String = row.try_get_by_index(0).expect("a name");
            let count = query(&connection, &format!("SELECT count(*) FROM {table}"), []).await;
            rows.insert(table, count[0].try_get_by_index(0).expect("a number"));
        }
        connection.close().await.expect("close");
        rows.remove("audit_log");
        rows
    }

    /// Makes a member an administrator of the organization: nothing of the API does that yet.
    ///
    /// # Panics
    /// When the ids aren't of a member.
    pub async fn grant_organization_admin(&self, user: &str, organization: &str) {
        let connection = connect(&self.url).await;
        let id = |text: &str| Value::from(Uuid::parse_str(text).expect("an id"));
        let values = [Value::from(Uuid::new_v4()), id(user), id(organization)];
        let statement = Statement::from_sql_and_values(
            connection.get_database_backend(),
            "INSERT INTO role_grant (id, user_id, organization_id, role, source, created_at)
             VALUES ($1, $2, $3, 'organization-admin', 'manual', 0)",
            values,
        );
        connection.execute_raw(statement).await.expect("grant");
        connection.close().await.expect("close");
    }

    /// Everything that is stored, as text; bytes in it are hexadecimal digits. A SQLite file can be read instead.
    ///
    /// # Panics
    /// When the database can't be read.
    pub async fn dump(&self) -> Vec<u8> {
        let mut dump = Vec::new();
        if self.drop.is_none() {
            return dump;
        }
        let connection = connect(&self.url).await;
        for row in query(&connection, "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'", []).await {
            let table: String = row.try_get_by_index(0).expect("a name");
            for row in query(&connection, &format!("SELECT t::text FROM {table} t"), []).await {
                dump.extend(row.try_get_by_index::<String>(0).expect("text").into_bytes());
                dump.push(b'\n');
            }
        }
        connection.close().await.expect("close");
        dump
    }

    /// Runs a statement behind the server's back.
    ///
    /// # Panics
    /// When it fails.
    pub async fn execute(&self, sql: &str) {
        let connection = connect(&self.url).await;
        connection.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        connection.close().await.expect("close");
    }
}

async fn query<const N: usize>(
    connection: &DatabaseConnection,
    sql: &str,
    values: [Value; N],
) -> Vec<sea_orm::QueryResult> {
    let statement = Statement::from_sql_and_values(connection.get_database_backend(), sql, values);
    connection.query_all_raw(statement).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

async fn connect(url: &str) -> DatabaseConnection {
    let mut options = sea_orm::ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    sea_orm::Database::connect(options).await.expect("the database answers")
}

impl Drop for Database {
    fn drop(&mut self) {
        let Some((admin, name)) = self.drop.take() else { return };
        // A runtime of its own: the test's can't be waited on from here.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let connection = sea_orm::Database::connect(admin).await?;
                connection.execute_unprepared(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?;
                anyhow::Ok(connection.close().await?)
            })
        });
        if !matches!(dropped.join(), Ok(Ok(()))) {
            eprintln!("a test database couldn't be dropped");
        }
    }
}

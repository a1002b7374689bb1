//! The database: the only place that knows SQL. One file per resource with plain functions; reads take anything that
//! gives [`Access`], writes take a [`Tx`], which a service opens and commits.

pub mod api_key;
pub mod assignment;
pub mod audit_log;
pub mod blob;
pub mod custom_role;
mod deployment;
pub mod dialect;
pub mod dry_run;
pub mod entity;
pub mod error;
pub mod file;
pub mod fleet;
pub mod job_log;
pub mod job_names;
pub mod job_queue;
pub mod job_upload;
pub mod member;
pub mod member_role;
pub mod notice;
pub mod organization;
pub mod provisioner_daemon;
pub mod provisioner_job;
pub mod provisioner_key;
pub mod sealed;
pub mod session;
pub mod template;
pub mod template_version;
pub mod user;
pub mod user_list;
pub mod workspace;
pub mod workspace_build;

#[cfg(test)]
pub(crate) mod testing;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use orgplane_migrations::{Migrator, MigratorTrait as _};
use sea_orm::{
    ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DatabaseExecutor, DatabaseTransaction,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait as _, Value,
};
use uuid::Uuid;

use crate::domain::{Error, Result, Timestamp};
use crate::metrics::Metrics;
use dialect::Dialect;
use error::from_db;
use sealed::Sealer;

/// Ids in one statement: databases bound its parameters.
const IDS: usize = 5000;

/// Migrations of one deployment run one at a time under this PostgreSQL advisory lock.
const MIGRATION_LOCK: i64 = 0x6f72_6770_6c61_6e65;

/// A handle to the database; cheap to clone.
#[derive(Clone)]
pub struct Store {
    read: DatabaseConnection,
    write: DatabaseConnection,
    dialect: Dialect,
    sealer: Arc<Sealer>,
    deployment_id: Uuid,
    metrics: Metrics,
    // Held as long as the SQLite file is in use.
    _lock: Option<Arc<std::fs::File>>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("dialect", &self.dialect).finish_non_exhaustive()
    }
}

impl Store {
    /// Connects, brings the schema up to date and checks that the sealing key is the deployment's.
    ///
    /// # Errors
    /// When the URL isn't one of SQLite or PostgreSQL, the database can't be reached, its schema is newer than this
    /// program, another server has the SQLite file, or the sealing key is another one.
    pub async fn open(url: &str, sealer: Sealer) -> Result<Self, error::Open> {
        let dialect = Dialect::of_url(url).ok_or(error::Open::Url)?;
        let lock = match dialect.file_of_url(url) {
            Some(file) => Some(Arc::new(lock_file(&file)?)),
            None => None,
        };
        let (read, write) = match dialect {
            Dialect::Sqlite => (connect_sqlite(url, 8).await?, connect_sqlite(url, 1).await?),
            Dialect::Postgres => {
                let pool = connect_postgres(url).await?;
                (pool.clone(), pool)
            }
        };
        let mut store = Self {
            read,
            write,
            dialect,
            sealer: Arc::new(sealer),
            deployment_id: Uuid::nil(),
            metrics: Metrics::default(),
            _lock: lock,
        };
        store.migrate().await?;
        let tx = store.begin().await.map_err(error::Open::Store)?;
        deployment::check_sealing_key(&tx).await?;
        store.deployment_id = deployment::id(&tx).await.map_err(error::Open::Store)?;
        tx.commit().await.map_err(error::Open::Store)?;
        Ok(store)
    }

    async fn migrate(&self) -> Result<(), error::Open> {
        match self.dialect {
            Dialect::Sqlite => Migrator::up(&self.write, None).await.map_err(error::Open::Migration),
            Dialect::Postgres => {
                // The lock is the transaction's, so a server that dies while migrating doesn't leave it behind.
                let tx = self.write.begin().await.map_err(error::Open::Migration)?;
                tx.execute_raw(self.statement("SELECT pg_advisory_xact_lock($1)", [MIGRATION_LOCK.into()]))
                    .await
                    .map_err(error::Open::Migration)?;
                Migrator::up(&tx, None).await.map_err(error::Open::Migration)?;
                tx.commit().await.map_err(error::Open::Migration)
            }
        }
    }

    /// Opens a transaction that may write. On SQLite there is one at a time; keep it short and wait for nothing in it.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database can't be reached.
    pub async fn begin(&self) -> Result<Tx> {
        let options = TransactionOptions {
            // A deferred one that reads first would fail at its first write when another came between.
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..Default::default()
        };
        let asked = Instant::now();
        let inner = self.write.begin_with_options(options).await.map_err(from_db)?;
        self.metrics.began(asked.elapsed());
        Ok(Tx { inner, dialect: self.dialect, sealer: self.sealer.clone() })
    }

    /// The time by which everything in the database is measured: the database's own.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database can't be reached.
    pub async fn now(&self) -> Result<Timestamp> {
        now(self).await
    }

    /// Ends all connections. The last one of SQLite leaves everything in the one file, and no log beside it.
    pub async fn close(&self) {
        for pool in [&self.read, &self.write] {
            if let Err(error) = pool.close_by_ref().await {
                tracing::warn!(%error, "can't close the database");
            }
        }
    }

    /// Whether the database answers. SQLite tells the time without its file, so a row is read.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when it doesn't.
    pub async fn ping(&self) -> Result<()> {
        self.query_one("SELECT name FROM deployment LIMIT 1", []).await.map(|_| ())
    }

    /// What is counted, of the database and of all else that this server does.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Open connections, and how many of them nobody uses.
    #[must_use]
    pub fn connections(&self) -> (u32, u32) {
        let (size, idle) = match self.dialect {
            Dialect::Sqlite => {
                let (read, write) = (self.read.get_sqlite_connection_pool(), self.write.get_sqlite_connection_pool());
                (read.size() + write.size(), read.num_idle() + write.num_idle())
            }
            Dialect::Postgres => {
                let pool = self.write.get_postgres_connection_pool();
                (pool.size(), pool.num_idle())
            }
        };
        (size, u32::try_from(idle).unwrap_or(u32::MAX))
    }

    /// What names the deployment: made with its database.
    #[must_use]
    pub fn deployment_id(&self) -> Uuid {
        self.deployment_id
    }

    /// Seals and opens sensitive columns.
    #[must_use]
    pub fn sealer(&self) -> &Sealer {
        &self.sealer
    }

    fn statement(&self, sql: &str, values: impl IntoIterator<Item = Value>) -> Statement {
        Statement::from_sql_and_values(self.dialect.backend(), sql, values)
    }
}

/// A transaction. Dropped without [`Tx::commit`], it leaves nothing behind.
pub struct Tx {
    inner: DatabaseTransaction,
    dialect: Dialect,
    sealer: Arc<Sealer>,
}

impl std::fmt::Debug for Tx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tx")
    }
}

impl Tx {
    /// Makes everything in it durable.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database was lost; whether it was committed is then unknown.
    pub async fn commit(self) -> Result<()> {
        self.inner.commit().await.map_err(from_db)
    }
}

/// Where a store function reads: the pool, or a transaction that sees its own writes.
pub trait Access: Send + Sync {
    /// For SeaORM's queries.
    fn executor(&self) -> DatabaseExecutor<'_>;
    /// The database's kind.
    fn dialect(&self) -> Dialect;
    /// Seals and opens sensitive columns.
    fn sealer(&self) -> &Sealer;

    /// Runs plain SQL with `$1`-style parameters; the number of rows that it changed.
    fn execute(&self, sql: &str, values: impl IntoIterator<Item = Value>) -> impl Future<Output = Result<u64>> + Send {
        let statement = Statement::from_sql_and_values(self.dialect().backend(), sql, values);
        async move {
            let result = self.executor().execute_raw(statement).await.map_err(from_db)?;
            Ok(result.rows_affected())
        }
    }

    /// The first row of plain SQL.
    fn query_one(
        &self,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> impl Future<Output = Result<Option<sea_orm::QueryResult>>> + Send {
        let statement = Statement::from_sql_and_values(self.dialect().backend(), sql, values);
        async move { self.executor().query_one_raw(statement).await.map_err(from_db) }
    }

    /// All rows of plain SQL; the statement must bound them.
    fn query_all(
        &self,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> impl Future<Output = Result<Vec<sea_orm::QueryResult>>> + Send {
        let statement = Statement::from_sql_and_values(self.dialect().backend(), sql, values);
        async move { self.executor().query_all_raw(statement).await.map_err(from_db) }
    }
}

impl Access for Store {
    fn executor(&self) -> DatabaseExecutor<'_> {
        DatabaseExecutor::from(&self.read)
    }

    fn dialect(&self) -> Dialect {
        self.dialect
    }

    fn sealer(&self) -> &Sealer {
        &self.sealer
    }
}

impl Access for Tx {
    fn executor(&self) -> DatabaseExecutor<'_> {
        DatabaseExecutor::from(&self.inner)
    }

    fn dialect(&self) -> Dialect {
        self.dialect
    }

    fn sealer(&self) -> &Sealer {
        &self.sealer
    }
}

/// The database's time; within a transaction it moves on.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn now(db: &impl Access) -> Result<Timestamp> {
    let sql = format!("SELECT {}", db.dialect().now());
    let row = db.query_one(&sql, []).await?.ok_or_else(|| Error::internal("the database told no time"))?;
    row.try_get_by_index(0).map(Timestamp).map_err(from_db)
}

/// `$n, $n+1, …`
fn placeholders(from: usize, count: usize) -> String {
    (from..from + count).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ")
}

fn lock_file(database: &Path) -> Result<std::fs::File, error::Open> {
    let path = database.with_extension("lock");
    let open = || -> std::io::Result<std::fs::File> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path)
    };
    let file = open().map_err(|cause| error::Open::File { path: path.clone(), cause })?;
    match fs4::FileExt::try_lock(&file) {
        Ok(()) => Ok(file),
        Err(fs4::TryLockError::WouldBlock) => Err(error::Open::Locked(database.to_owned())),
        Err(fs4::TryLockError::Error(cause)) => Err(error::Open::File { path, cause }),
    }
}

async fn connect_sqlite(url: &str, connections: u32) -> Result<DatabaseConnection, error::Open> {
    let mut options = ConnectOptions::new(url.to_owned());
    options
        .max_connections(connections)
        .min_connections(1)
        .sqlx_logging(false)
        .acquire_timeout(Duration::from_secs(30));
    options.map_sqlx_sqlite_opts(|o| {
        o.create_if_missing(true)
            .pragma("journal_mode", "WAL")
            .pragma("synchronous", "FULL")
            .pragma("foreign_keys", "ON")
            .pragma("busy_timeout", "10000")
    });
    Database::connect(options).await.map_err(error::Open::Connect)
}

async fn connect_postgres(url: &str) -> Result<DatabaseConnection, error::Open> {
    let mut options = ConnectOptions::new(url.to_owned());
    options.max_connections(20).min_connections(1).sqlx_logging(false).acquire_timeout(Duration::from_secs(5));
    Database::connect(options).await.map_err(error::Open::Connect)
}

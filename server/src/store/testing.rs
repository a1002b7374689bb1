//! Stores for tests: the same test runs on SQLite, and on PostgreSQL where `ORGPLANE_TEST_POSTGRES_URL` names a server.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::sealed::Sealer;
use super::{Access as _, Store};

/// A fresh store; its folder is removed with it, its PostgreSQL schema lives as long as the server that tests use.
#[derive(Debug)]
pub(crate) struct TestStore {
    store: Store,
    statements: Arc<AtomicUsize>,
    _folder: Option<tempfile::TempDir>,
}

impl TestStore {
    fn new(mut store: Store, folder: Option<tempfile::TempDir>) -> Self {
        let statements = Arc::<AtomicUsize>::default();
        for connection in [&mut store.read, &mut store.write] {
            let statements = statements.clone();
            connection.set_metric_callback(move |_| {
                statements.fetch_add(1, Ordering::Relaxed);
            });
        }
        Self { store, statements, _folder: folder }
    }

    /// How many statements it and its clones have run.
    pub(crate) fn statements(&self) -> usize {
        self.statements.load(Ordering::Relaxed)
    }
}

impl Deref for TestStore {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

/// A fresh, migrated store of each kind.
pub(crate) async fn stores() -> Vec<TestStore> {
    let mut stores = vec![sqlite().await];
    stores.extend(postgres().await);
    stores
}

async fn sqlite() -> TestStore {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("test.db").display());
    let store = Store::open(&url, Sealer::new(&[1; 32])).await.unwrap();
    TestStore::new(store, Some(folder))
}

/// In a database of its own.
async fn postgres() -> Option<TestStore> {
    let Ok(url) = std::env::var("ORGPLANE_TEST_POSTGRES_URL") else {
        let required = std::env::var("ORGPLANE_TESTS_REQUIRE").unwrap_or_default();
        assert!(!required.split(',').any(|name| name == "postgres"), "ORGPLANE_TEST_POSTGRES_URL isn't set");
        return None;
    };
    let name = format!("test_{}", uuid::Uuid::now_v7().simple());
    let admin = sea_orm::Database::connect(&url).await.unwrap();
    sea_orm::ConnectionTrait::execute_unprepared(&admin, &format!("CREATE DATABASE {name}")).await.unwrap();
    admin.close().await.unwrap();
    let (server, query) = url.split_once('?').map_or((url.as_str(), ""), |(server, query)| (server, query));
    let (server, _) = server.rsplit_once('/').unwrap();
    let store = Store::open(&format!("{server}/{name}?{query}"), Sealer::new(&[1; 32])).await.unwrap();
    Some(TestStore::new(store, None))
}

#[tokio::test]
async fn a_store_opens_and_tells_the_time() {
    for store in stores().await {
        let first = store.now().await.unwrap();
        let tx = store.begin().await.unwrap();
        assert!(super::now(&tx).await.unwrap() >= first);
        assert_eq!(tx.execute("DELETE FROM deployment", []).await.unwrap(), 2);
        drop(tx);
        let row = store.query_one("SELECT count(*) FROM deployment", []).await.unwrap().unwrap();
        assert_eq!(row.try_get_by_index::<i64>(0).unwrap(), 2, "what isn't committed leaves nothing");
    }
}

#[tokio::test]
async fn a_store_answers_only_with_its_rows() {
    for store in stores().await {
        store.ping().await.unwrap();
        let tx = store.begin().await.unwrap();
        tx.execute("DROP TABLE deployment", []).await.unwrap();
        tx.commit().await.unwrap();
        assert!(store.now().await.is_ok() && store.ping().await.is_err(), "the clock alone is no database");
    }
}

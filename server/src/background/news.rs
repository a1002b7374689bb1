//! Looks for news of what clients follow, all in one statement each.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::dispatch::news::News;
use crate::store::{self, Store};

/// Of logs; runs until stopped.
pub async fn of_logs(store: Store, news: Arc<News>, stop: CancellationToken) {
    let look = |jobs| {
        let store = store.clone();
        async move { store::job_log::standings(&store, jobs).await }
    };
    news.logs.run(look, stop).await;
}

/// Of workspaces; runs until stopped.
pub async fn of_workspaces(store: Store, news: Arc<News>, stop: CancellationToken) {
    let look = |workspaces| {
        let store = store.clone();
        async move { store::workspace::marks(&store, workspaces).await }
    };
    news.workspaces.run(look, stop).await;
}

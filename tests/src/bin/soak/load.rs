//! What is asked for meanwhile: imports and workspaces, a few a second.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use orgplane_tests::world::text;
use orgplane_tests::{Archive, LONG, Rest};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Lines of a job before its permit, and as many after it.
pub(crate) const LINES: usize = 12;
const PAUSE: Duration = Duration::from_millis(250);

/// What the server said yes to.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// Of the version or the build.
    pub(crate) path: String,
    /// A build, which changes things and has a state.
    pub(crate) builds: bool,
}

/// Asks until it is stopped.
pub(crate) struct Load {
    asked: Arc<Mutex<Vec<Asked>>>,
    count: Arc<AtomicUsize>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// What a job of any kind says: its lines are counted.
fn script() -> Value {
    let lines = |from: usize, to: usize| {
        let line = |n| json!({"output": format!("line {n}"), "delay_ms": 40 * (n % 4)});
        (from..=to).map(line).collect::<Vec<_>>()
    };
    let build = json!({
        "logs": lines(1, LINES), "apply": true, "after_permit": lines(LINES + 1, 2 * LINES),
        "state": {"lineage": "soak", "serial": 1, "content": "the state"},
    });
    json!({"import": {"logs": lines(1, 2 * LINES)}, "start": build})
}

impl Load {
    pub(crate) async fn start(owner: Rest, organization: String) -> Self {
        let archive = Archive::echo(&script());
        let file = text(&owner.upload(archive.clone()).await.expect(201), "hash");
        let template = text(&owner.template(&organization, "soak", archive, "echo").await, "id");
        let (asked, count, stop) =
            (Arc::<Mutex<Vec<Asked>>>::default(), Arc::<AtomicUsize>::default(), CancellationToken::new());
        let load = Asking { owner, organization, file, template };
        let (into, counter, stopped) = (asked.clone(), Arc::clone(&count), stop.clone());
        let task = tokio::spawn(async move {
            for number in 0.. {
                tokio::select! {
                    () = stopped.cancelled() => return,
                    () = sleep(PAUSE) => {}
                }
                // Who gets no answer can't know; only what was promised is claimed.
                if let Ok(Ok(promised)) = timeout(LONG, load.ask(number)).await {
                    into.lock().unwrap_or_else(PoisonError::into_inner).push(promised);
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Self { asked, count, stop, task }
    }

    pub(crate) fn asked(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    pub(crate) async fn stop(self) -> anyhow::Result<Vec<Asked>> {
        self.stop.cancel();
        self.task.await?;
        Ok(self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

struct Asking {
    owner: Rest,
    organization: String,
    file: String,
    template: String,
}

impl Asking {
    async fn ask(&self, number: usize) -> anyhow::Result<Asked> {
        if number.is_multiple_of(2) {
            let path = format!("/api/v2/organizations/{}/templateversions", self.organization);
            let body = json!({"storage_method": "file", "file_id": self.file, "provisioner": "echo", "tags": {}});
            let id = text(&self.post(&path, body).await?, "id");
            return Ok(Asked { path: format!("/api/v2/templateversions/{id}"), builds: false });
        }
        let body = json!({"name": format!("w{number}"), "template_id": self.template});
        let workspace = self.post("/api/v2/users/me/workspaces", body).await?;
        let id = text(&workspace["latest_build"], "id");
        Ok(Asked { path: format!("/api/v2/workspacebuilds/{id}"), builds: true })
    }

    async fn post(&self, path: &str, body: Value) -> anyhow::Result<Value> {
        let answer = self.owner.request(Method::POST, path).json(&body).send().await?;
        ensure!(answer.status() == 201, "{path}: {}", answer.status());
        answer.json().await.context("a body")
    }
}

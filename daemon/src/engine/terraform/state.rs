//! Terraform's state file: read it while it is being written, and hand in each newer one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use orgplane_proto::provisioner::v1::{LogLevel, StateReference};
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::engine::Context;

/// The file in the directory where Terraform runs.
pub(crate) const FILE: &str = "terraform.tfstate";
/// Where Terraform puts the state that it can't store.
const ERRORED: &str = "errored.tfstate";
/// A longer one is not handed in; the server takes no longer file.
const MAX_STATE: u64 = 100 * 1024 * 1024;
const LOOK_EVERY: Duration = Duration::from_millis(200);
const UPLOAD_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, Deserialize)]
struct Head {
    lineage: String,
    serial: i64,
}

#[derive(Debug)]
struct State {
    lineage: String,
    serial: i64,
    bytes: Bytes,
}

/// Follows the states of one apply.
#[derive(Debug)]
pub(crate) struct Watcher {
    work: PathBuf,
    lineage: Option<String>,
    serial: i64,
}

impl Watcher {
    /// From the state that the apply starts with, if there is one.
    pub(crate) fn new(work: &Path, from: Option<&StateReference>) -> Self {
        let lineage = from.map(|s| s.lineage.clone()).filter(|l| !l.is_empty());
        // Without any state even serial 0 is news.
        Self { work: work.to_owned(), lineage, serial: from.map_or(-1, |s| s.serial) }
    }

    /// Hands in newer states until told that the engine has ended: one at a time, at most one a second.
    pub(crate) async fn follow(&mut self, context: &Context, mut ended: watch::Receiver<bool>) {
        let mut next_upload = Instant::now();
        while !*ended.borrow_and_update() {
            tokio::select! {
                _ = ended.changed() => continue,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            if Instant::now() < next_upload {
                continue;
            }
            if let Some(state) = self.newer(FILE).await {
                tokio::select! {
                    // A newer one comes right after.
                    _ = ended.changed() => continue,
                    () = self.hand_in(context, state) => {}
                }
                next_upload = Instant::now() + UPLOAD_EVERY;
            }
        }
    }

    /// Hands in what the engine left.
    pub(crate) async fn finish(&mut self, context: &Context) {
        for file in [FILE, ERRORED] {
            if let Some(state) = self.newer(file).await {
                self.hand_in(context, state).await;
            }
        }
    }

    async fn hand_in(&mut self, context: &Context, state: State) {
        let State { lineage, serial, bytes } = state;
        match context.store_state(lineage.clone(), serial, bytes).await {
            Ok(()) => {
                self.serial = serial;
                self.lineage = Some(lineage);
            }
            Err(error) => {
                let text = format!("The state with serial {serial} can't be handed in: {error}");
                context.say(LogLevel::Error, text).await;
            }
        }
    }

    /// The file's state, if it is whole, of the same lineage and newer than what was handed in. Terraform writes in place:
    /// a reader can see the file empty or half.
    async fn newer(&self, file: &str) -> Option<State> {
        let path = self.work.join(file);
        let bytes = tokio::task::spawn_blocking(move || {
            if std::fs::metadata(&path).ok()?.len() > MAX_STATE {
                tracing::warn!(path = %path.display(), "a state is too long to be handed in");
                return None;
            }
            std::fs::read(path).ok()
        });
        let bytes = Bytes::from(bytes.await.ok()??);
        let head: Head = serde_json::from_slice(&bytes).ok()?;
        let same = self.lineage.as_ref().is_none_or(|l| *l == head.lineage);
        (same && head.serial > self.serial).then_some(State { lineage: head.lineage, serial: head.serial, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_whole_newer_states_of_the_same_lineage_count() {
        let dir = tempfile::tempdir().unwrap();
        let from = StateReference { lineage: "a".to_owned(), serial: 3, reference: None };
        let watcher = Watcher::new(dir.path(), Some(&from));
        let cases = [
            ("", false),
            (r#"{"lineage": "a", "ser"#, false),
            (r#"{"lineage": "a", "serial": 3}"#, false),
            (r#"{"lineage": "b", "serial": 4}"#, false),
            (r#"{"lineage": "a", "serial": 4}"#, true),
        ];
        for (text, newer) in cases {
            std::fs::write(dir.path().join(FILE), text).unwrap();
            assert_eq!(watcher.newer(FILE).await.is_some(), newer, "{text}");
        }
        assert!(Watcher::new(dir.path(), None).newer(FILE).await.is_some());
    }
}

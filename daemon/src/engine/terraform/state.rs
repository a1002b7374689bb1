//! Terraform's state file: read it while it is being written, and hand in each newer one.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use orgplane_proto::provisioner::v1::{LogLevel, StateReference};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::engine::Context;
use crate::foreign;

/// The file in the directory where Terraform runs.
pub(crate) const FILE: &str = "terraform.tfstate";
/// Where Terraform puts the state that it can't store.
const ERRORED: &str = "errored.tfstate";
/// Where `init` writes down the backend.
const INITIALIZED: &str = ".terraform/terraform.tfstate";
const MAX_INITIALIZED: u64 = 1024 * 1024;
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

/// What a look at a state file finds.
#[derive(Debug)]
enum Look {
    Missing,
    /// It is stored, or older than what is.
    Known,
    Newer(State),
    /// What is there is no state that can be handed in, and why.
    Unusable(String),
}

/// What `init` wrote down of the backend.
#[derive(Debug, Deserialize)]
struct Initialized {
    #[serde(default)]
    backend: Option<Backend>,
    #[serde(default)]
    state_store: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
struct Backend {
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    config: Option<BTreeMap<String, Value>>,
}

/// Whether the engine will keep the state where it is handed in from; else where not.
pub(crate) async fn check_backend(work: &Path) -> Result<(), String> {
    let bytes = match foreign::read_async(work.join(INITIALIZED), MAX_INITIALIZED).await {
        Ok(bytes) => bytes,
        // No backend is named.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(format!("{INITIALIZED} can't be read: {error}")),
    };
    let found: Initialized = serde_json::from_slice(&bytes).map_err(|e| format!("{INITIALIZED} can't be read: {e}"))?;
    let local = |backend: &Backend| {
        backend.r#type == "local" && backend.config.iter().flat_map(BTreeMap::values).all(Value::is_null)
    };
    if found.state_store.is_none() && found.backend.as_ref().is_none_or(local) {
        return Ok(());
    }
    let kind = found.backend.map_or_else(|| "state store".to_owned(), |backend| backend.r#type);
    Err(format!("the template sends its state elsewhere ({kind}); templates must leave the state to Orgplane"))
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
            if let Look::Newer(state) = self.look(FILE).await {
                tokio::select! {
                    // A newer one comes right after.
                    _ = ended.changed() => continue,
                    _ = self.hand_in(context, state) => {}
                }
                next_upload = Instant::now() + UPLOAD_EVERY;
            }
        }
    }

    /// Hands in what the engine left. Unless the newest state on disk is stored then, the error says why. After changes
    /// there has to be one.
    pub(crate) async fn finish(&mut self, context: &Context, has_changes: bool) -> Result<(), String> {
        let mut stored = Ok(());
        for file in [FILE, ERRORED] {
            let unstored = match self.look(file).await {
                Look::Known => None,
                // The engine doesn't remove the state that it began with.
                Look::Missing => (file == FILE && self.lineage.is_some()).then(|| "it is gone".to_owned()),
                Look::Newer(state) => self.hand_in(context, state).await.err(),
                Look::Unusable(why) => Some(why),
            };
            if let Some(why) = unstored {
                stored = Err(format!("{file}: {why}"));
            }
        }
        if has_changes && self.lineage.is_none() && stored.is_ok() {
            return Err(format!("{FILE}: the engine changed things and left none"));
        }
        stored
    }

    async fn hand_in(&mut self, context: &Context, state: State) -> Result<(), String> {
        let State { lineage, serial, bytes } = state;
        match context.store_state(lineage.clone(), serial, bytes).await {
            Ok(()) => {
                self.serial = serial;
                self.lineage = Some(lineage);
                Ok(())
            }
            Err(error) => {
                let text = format!("The state with serial {serial} can't be handed in: {error}");
                context.say(LogLevel::Error, text).await;
                Err(error.to_string())
            }
        }
    }

    /// Takes the file's state if it is whole, of the same lineage and newer than what was handed in. Terraform writes in
    /// place: a reader can see the file empty or half.
    async fn look(&self, file: &str) -> Look {
        let bytes = match foreign::read_async(self.work.join(file), MAX_STATE).await {
            Ok(bytes) => Bytes::from(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Look::Missing,
            Err(error) => return Look::Unusable(error.to_string()),
        };
        if bytes.is_empty() && self.lineage.is_none() {
            // Terraform creates the file to lock it; one that was killed before its first write leaves it so.
            return Look::Missing;
        }
        match serde_json::from_slice::<Head>(&bytes) {
            Err(error) => Look::Unusable(format!("it is not a whole state: {error}")),
            Ok(head) if self.lineage.as_ref().is_some_and(|l| *l != head.lineage) => {
                Look::Unusable("it is another workspace's: its lineage changed".to_owned())
            }
            Ok(head) if head.serial > self.serial => {
                Look::Newer(State { lineage: head.lineage, serial: head.serial, bytes })
            }
            Ok(_) => Look::Known,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_a_local_state_is_let_through() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(check_backend(dir.path()).await, Ok(()), "no backend is named");
        std::fs::create_dir(dir.path().join(".terraform")).unwrap();
        let cases = [
            (r#"{"backend": {"type": "local", "config": {"path": null, "workspace_dir": null}}}"#, true),
            (r#"{"version": 3}"#, true),
            (r#"{"backend": {"type": "local", "config": {"path": "/tmp/x", "workspace_dir": null}}}"#, false),
            (r#"{"backend": {"type": "http", "config": {"address": "http://x"}}}"#, false),
            (r#"{"backend": {"type": "cloud", "config": {}}}"#, false),
            (r#"{"state_store": {"type": "x"}}"#, false),
            ("{", false),
        ];
        for (text, good) in cases {
            std::fs::write(dir.path().join(INITIALIZED), text).unwrap();
            assert_eq!(check_backend(dir.path()).await.is_ok(), good, "{text}");
        }
    }

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
            assert_eq!(matches!(watcher.look(FILE).await, Look::Newer(_)), newer, "{text}");
        }
        assert!(matches!(Watcher::new(dir.path(), None).look(FILE).await, Look::Newer(_)));
    }
}

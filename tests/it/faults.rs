//! The link between a daemon and its server breaks, for longer or shorter, at its worst in the middle of a message.

use std::time::Duration;

use orgplane_tests::daemon::daemon_command;
use orgplane_tests::proxy::Way;
use orgplane_tests::wait::{SHORT, eventually};
use orgplane_tests::world::{outputs, text};
use orgplane_tests::{Archive, Builder, Daemon, Databases, Deployment, LONG, Proxy, Rest};
use serde_json::{Value, json};

/// A deployment, and a daemon whose only way to it can be broken.
struct Story {
    proxy: Proxy,
    daemon: Daemon,
    owner: Rest,
    organization: String,
    _deployment: Deployment,
}

impl Story {
    async fn start(builder: Builder, engine: &str) -> Self {
        let deployment = builder.flag("--contact-lost-after", "1s").unrecorded().start().await;
        let (owner, organization, key) = deployment.furnished().await;
        let proxy = Proxy::start(deployment.url()).await;
        let folder = tempfile::Builder::new().prefix("orgplane-daemon-").tempdir().unwrap();
        let mut command = daemon_command(&proxy.url(), folder.path(), "one", &key, engine);
        let daemon = Daemon::run(folder, "one", &mut command);
        owner.daemon(&organization, "one", "idle").await;
        Self { proxy, daemon, owner, organization, _deployment: deployment }
    }

    /// A version whose import says many lines; its path.
    async fn import(&self, lines: u32) -> String {
        let script = json!({"import": {"logs": [{"output": "working", "delay_ms": 20, "repeat": lines}]}});
        let version = self.owner.import(&self.organization, Archive::echo(&script), "echo", json!({})).await;
        format!("/api/v2/templateversions/{}", text(&version, "id"))
    }

    /// Waits until a log has a text.
    async fn says(&self, path: &str, words: &str) {
        eventually(&format!("{words:?} in {path}"), LONG, async || {
            outputs(&self.owner.logs(path).await).contains(words).then_some(())
        })
        .await;
    }

    async fn out_of_contact(&self, path: &str) -> Value {
        eventually("the contact to be lost", SHORT, async || {
            let job = self.owner.get(path).await.expect(200)["job"].clone();
            job["contact_lost_since"].is_string().then_some(job)
        })
        .await
    }

    /// Waits for a job's success, with all its lines once.
    async fn succeeds(&self, path: &str, lines: usize) {
        let version = self.owner.imported(path.rsplit('/').next().unwrap(), LONG).await;
        assert_eq!(version["job"]["status"], "succeeded", "{version}");
        let log = self.owner.logs(path).await;
        assert_eq!(log.iter().filter(|line| line["output"] == "working").count(), lines, "{log:?}");
    }
}

#[tokio::test]
async fn a_cut_shorter_than_the_lease_costs_nothing() {
    let story = Story::start(Deployment::on(Databases::Sqlite).flag("--lease", "60s"), "echo").await;
    let path = story.import(200).await;
    story.says(&path, "working").await;
    story.proxy.cut();
    story.out_of_contact(&path).await;
    story.proxy.heal();
    story.succeeds(&path, 200).await;
    assert!(!outputs(&story.owner.logs(&path).await).contains("lost"));
}

#[tokio::test]
async fn a_cut_inside_a_message_costs_nothing() {
    let story = Story::start(Deployment::on(Databases::Sqlite).flag("--lease", "60s"), "echo").await;
    // Longer than all the cuts take on a busy machine.
    let path = story.import(2500).await;
    story.says(&path, "working").await;
    // In different places of the messages.
    for (way, bytes) in [(Way::Up, 333), (Way::Down, 17), (Way::Up, 71)] {
        story.proxy.cut_after(way, bytes);
        tokio::time::timeout(SHORT, story.proxy.is_cut()).await.expect("something passes");
        story.proxy.heal();
        story.owner.daemon(&story.organization, "one", "busy").await;
    }
    for way in [Way::Up, Way::Down] {
        story.proxy.delay(Duration::from_millis(5));
        story.proxy.half_close(way);
        story.out_of_contact(&path).await;
        story.proxy.cut();
        story.proxy.heal();
        eventually("the contact to be back", SHORT, async || {
            let job = story.owner.get(&path).await.expect(200)["job"].clone();
            job.get("contact_lost_since").is_none().then_some(())
        })
        .await;
    }
    story.succeeds(&path, 2500).await;
}

#[tokio::test]
async fn a_job_that_changed_nothing_is_tried_three_times() {
    let story = Story::start(Deployment::on(Databases::Sqlite).flag("--lease", "1500ms"), "echo").await;
    let path = story.import(10_000).await;
    for times in 1..=2 {
        story.owner.in_status(&path, "running").await;
        story.proxy.cut();
        story.says(&path, &format!("lost {times} of at most 3 times")).await;
        assert_eq!(story.owner.get(&path).await.expect(200)["job"]["status"], "pending");
        story.proxy.heal();
    }
    story.owner.in_status(&path, "running").await;
    story.proxy.cut();
    let version = story.owner.imported(path.rsplit('/').next().unwrap(), LONG).await;
    assert_eq!(version["job"]["status"], "failed", "{version}");
    assert!(text(&version["job"], "error").contains("isn't tried again"), "{version}");
}

#[tokio::test]
async fn what_was_changed_out_of_contact_is_salvaged() {
    if !orgplane_tests::terraform() {
        return;
    }
    let builder = Deployment::on(Databases::Sqlite).flag("--lease", "5s").flag("--apply-lost-after", "8s");
    let mut story = Story::start(builder, "terraform").await;
    let main = r#"
        resource "terraform_data" "first" { input = "first" }
        resource "terraform_data" "second" {
          input = terraform_data.first.output
          provisioner "local-exec" { command = "echo under way; sleep 5" }
        }
        resource "terraform_data" "third" {
          input = terraform_data.second.output
          provisioner "local-exec" { command = "sleep 600" }
        }
    "#;
    let archive = Archive::default().file("main.tf", main.as_bytes()).finish();
    let template = story.owner.template(&story.organization, "slow", archive, "terraform").await;
    let workspace = story.owner.workspace("dev", &template).await;
    let build = text(&workspace["latest_build"], "id");
    let path = format!("/api/v2/workspacebuilds/{build}");
    story.says(&path, "under way").await;
    let state = async || story.owner.get(&format!("{path}/state")).await.text();
    eventually("the first checkpoint", SHORT, async || state().await.contains("\"name\": \"first\"").then_some(()))
        .await;
    story.proxy.cut();
    let failed = story.owner.built(&build, LONG).await;
    assert_eq!(failed["job"]["status"], "failed", "{failed}");
    let error = text(&failed["job"], "error");
    assert!(error.contains("was lost while it was changing resources"), "{error}");
    let checkpoint = state().await;
    assert!(!checkpoint.contains("\"name\": \"third\""), "{checkpoint}");
    // Out of contact for as long, the daemon has interrupted its engine, and has the state that this left.
    story.proxy.heal();
    let salvaged = eventually("the state to come back", LONG, async || {
        let state = state().await;
        (state != checkpoint && state.contains("\"name\": \"second\"")).then_some(state)
    });
    let salvaged = salvaged.await;
    assert!(salvaged.contains("\"name\": \"first\""), "{salvaged}");
    assert_eq!(story.owner.get(&path).await.expect(200)["job"]["status"], "failed");
    story.says(&path, "came back with a state").await;
    // A delete starts from it, and leaves nothing.
    let deleted = story.owner.build(&workspace, "delete").await;
    let deleted = story.owner.built(&text(&deleted, "id"), LONG).await;
    assert_eq!(deleted["status"], "deleted", "{deleted}");
    assert!(story.daemon.process().is_running());
}

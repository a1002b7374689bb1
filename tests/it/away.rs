//! A daemon that is away for a while: its jobs go on where it left them, wherever they run, and can be canceled meanwhile.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use orgplane_proto::provisioner::v1::daemon_message::Message as Said;
use orgplane_proto::provisioner::v1::server_message::Message as Heard;
use orgplane_proto::provisioner::v1::{HeldJob, JobPhase, Outcome, Register, Verdict};
use orgplane_tests::daemon::daemon_command;
use orgplane_tests::scripted::{register, result};
use orgplane_tests::wait::{SHORT, eventually};
use orgplane_tests::world::{outputs, text};
use orgplane_tests::{Archive, Daemon, Databases, Deployment, LONG, Rest, Session, present, terraform, terraforms};
use serde_json::{Value, json};
use tempfile::TempDir;
use tonic::Code;

on_each_database!(
    a_cancel_is_heard_by_a_daemon_that_comes_back,
    a_cancel_of_what_never_comes_back_ends,
    another_daemon_takes_over
);

/// Three resources; the second says who it runs as and waits, and the last one says it again.
const TEMPLATE: &str = r#"
    resource "terraform_data" "first" { input = "kept" }
    resource "terraform_data" "second" {
      depends_on = [terraform_data.first]
      provisioner "local-exec" {
        command = "echo begins as $(id -u); : > GATES/reached; while [ ! -e GATES/open ]; do sleep 0.05; done"
      }
    }
    resource "terraform_data" "third" {
      depends_on = [terraform_data.second]
      provisioner "local-exec" { command = "echo ends as $(id -u)" }
    }
"#;

/// A build in the middle of its apply, whose daemon was killed.
struct Story {
    deployment: Deployment,
    owner: Rest,
    key: String,
    daemon: Daemon,
    flags: Vec<String>,
    gates: TempDir,
    workspace: Value,
}

fn open_folder(mode: u32) -> TempDir {
    let folder = tempfile::Builder::new().prefix("orgplane-away-").tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(mode)).unwrap();
    folder
}

fn command(deployment: &Deployment, folder: &Path, key: &str, flags: &[String]) -> Command {
    let mut command = daemon_command(deployment.url(), folder, "one", key, "terraform");
    command.args(flags);
    command
}

impl Story {
    async fn start(database: Databases, flags: &[&str]) -> Self {
        let deployment = Deployment::on(database).start().await;
        let (owner, organization, key) = deployment.furnished().await;
        let flags: Vec<_> = flags.iter().map(|&flag| flag.to_owned()).collect();
        let folder = open_folder(0o755);
        let mut start = command(&deployment, folder.path(), &key, &flags);
        let mut daemon = Daemon::run(folder, "one", &mut start);
        let gates = open_folder(0o777);
        let main = TEMPLATE.replace("GATES", gates.path().to_str().unwrap());
        let tar = Archive::default().file("main.tf", main.as_bytes()).finish();
        let template = owner.template(&organization, "gated", tar, "terraform").await;
        let workspace = owner.workspace("dev", &template).await;
        let reached = gates.path().join("reached");
        eventually("the second resource", LONG, async || reached.exists().then_some(())).await;
        daemon.kill().await;
        Self { deployment, owner, key, daemon, flags, gates, workspace }
    }

    async fn comes_back(&mut self) {
        let mut start = command(&self.deployment, self.daemon.folder(), &self.key, &self.flags);
        self.daemon.start_again("one again", &mut start);
        self.daemon.process().says("job of an earlier daemon adopted", SHORT).await;
    }

    fn path(&self) -> String {
        format!("/api/v2/workspacebuilds/{}", text(&self.workspace["latest_build"], "id"))
    }

    /// Its end, with its log.
    async fn ended(&self) -> (Value, String) {
        let build = self.owner.built(&text(&self.workspace["latest_build"], "id"), LONG).await;
        (build, outputs(&self.owner.logs(&self.path()).await))
    }

    /// The names of the resources in the state that a build left.
    async fn resources(&self, build: &str) -> Vec<String> {
        let state: Value = serde_json::from_slice(&self.owner.get(&format!("{build}/state")).await.bytes).unwrap();
        state["resources"].as_array().unwrap().iter().map(|resource| text(resource, "name")).collect()
    }

    /// Deletes the workspace, and all of it is gone.
    async fn deleted(&self) {
        let build = text(&self.owner.build(&self.workspace, "delete").await, "id");
        let deleted = self.owner.built(&build, LONG).await;
        assert_eq!(deleted["status"], "deleted", "{deleted}");
        assert!(self.resources(&format!("/api/v2/workspacebuilds/{build}")).await.is_empty());
    }
}

async fn taken_over(database: Databases, flags: &[&str], user: Option<&str>) {
    let mut story = Story::start(database, flags).await;
    story.comes_back().await;
    std::fs::write(story.gates.path().join("open"), "").unwrap();
    let (build, log) = story.ended().await;
    assert_eq!(build["job"]["status"], "succeeded", "{build}\n{log}");
    for word in ["begins", "ends"] {
        let said: Vec<_> = log.lines().filter_map(|line| line.split_once(&format!("): {word} as "))).collect();
        assert_eq!(said.len(), 1, "{word}, once:\n{log}");
        assert!(user.is_none_or(|user| said[0].1 == user), "as {user:?}: {said:?}");
    }
    assert_eq!(story.resources(&story.path()).await, ["first", "second", "third"]);
    story.deleted().await;
}

async fn another_daemon_takes_over(database: Databases) {
    for program in terraforms() {
        taken_over(database, &["--terraform-path", program], None).await;
    }
}

#[tokio::test]
async fn engines_of_other_users_are_taken_over() {
    if terraform() && present("root", nix::unistd::geteuid().is_root()) {
        taken_over(Databases::Sqlite, &["--engine-user", "200100-200101", "--capacity", "2"], Some("200101")).await;
    }
}

/// In Terraform's place: notes which command runs as whom, and holds `init` for as long as it is told to.
const GATED: &str = r#"#!/bin/sh
: > "GATES/$1-$(id -u)"
while [ "$1" = init ] && [ -e GATES/hold ]; do sleep 0.05; done
exec terraform "$@"
"#;

/// A daemon that was started without engine users by mistake is started with them: what changed nothing begins anew.
#[tokio::test]
async fn nothing_more_runs_as_root_where_there_are_engine_users() {
    if !terraform() || !present("root", nix::unistd::geteuid().is_root()) {
        return;
    }
    let deployment = Deployment::start().await;
    let (owner, organization, key) = deployment.furnished().await;
    let (folder, gates) = (open_folder(0o755), open_folder(0o777));
    let (at, program) = (|name: &str| gates.path().join(name), gates.path().join("terraform"));
    std::fs::write(&program, GATED.replace("GATES", gates.path().to_str().unwrap())).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(at("hold"), "").unwrap();
    let mut flags = vec!["--terraform-path".to_owned(), program.to_str().unwrap().to_owned()];
    let mut start = command(&deployment, folder.path(), &key, &flags);
    let mut daemon = Daemon::run(folder, "one", &mut start);
    let version = owner.import(&organization, Archive::terraform("hello"), "terraform", json!({})).await;
    eventually("init as root", LONG, async || at("init-0").exists().then_some(())).await;
    daemon.kill().await;
    flags.extend(["--engine-user".to_owned(), "200100".to_owned()]);
    let mut start = command(&deployment, daemon.folder(), &key, &flags);
    daemon.start_again("one again", &mut start);
    daemon.process().says("job of an earlier daemon adopted", SHORT).await;
    eventually("init as another user", LONG, async || at("init-200100").exists().then_some(())).await;
    std::fs::remove_file(at("hold")).unwrap();
    let version = owner.imported(&text(&version, "id"), LONG).await;
    assert_eq!(version["job"]["status"], "succeeded", "{version}");
    assert!(at("plan-200100").exists() && !at("plan-0").exists(), "it went on as root");
}

#[tokio::test]
async fn what_is_canceled_meanwhile_is_interrupted_by_the_next_daemon() {
    if !terraform() {
        return;
    }
    let mut story = Story::start(Databases::Sqlite, &[]).await;
    let _ = story.owner.patch(&format!("{}/cancel", story.path()), json!({})).await.expect(200);
    assert_eq!(story.owner.get(&story.path()).await.expect(200)["job"]["status"], "canceling");
    story.comes_back().await;
    let (build, log) = story.ended().await;
    assert_eq!(build["job"]["status"], "canceled", "{build}\n{log}");
    assert!(!log.contains("ends as"), "{log}");
    let resources = story.resources(&story.path()).await;
    assert!(resources[0] == "first" && !resources.contains(&"third".to_owned()), "{resources:?}");
    story.deleted().await;
}

/// A daemon by a script, with a job.
struct Scripted {
    deployment: Deployment,
    owner: Rest,
    key: String,
    daemon: Register,
}

impl Scripted {
    async fn start(database: Databases) -> (Self, Session, String) {
        let builder = Deployment::on(database).flag("--lease", "3s").flag("--apply-lost-after", "3s");
        let deployment = builder.flag("--contact-lost-after", "1s").start().await;
        let (owner, organization, key) = deployment.furnished().await;
        let daemon = register("one");
        let (mut session, _) = Session::register(&deployment, &key, daemon.clone()).await.unwrap();
        let template = session.template(&owner, &organization).await;
        let workspace = owner.workspace("dev", &template).await;
        let path = format!("/api/v2/workspacebuilds/{}", text(&workspace["latest_build"], "id"));
        (Self { deployment, owner, key, daemon }, session, path)
    }

    async fn cancel(&self, path: &str) {
        let _ = self.owner.patch(&format!("{path}/cancel"), json!({})).await.expect(200);
        let job = self.owner.get(path).await.expect(200)["job"].clone();
        assert!(job["status"] == "canceling" && job["canceled_at"].is_string(), "{job}");
    }
}

async fn a_cancel_is_heard_by_a_daemon_that_comes_back(database: Databases) {
    let (mut story, mut session, path) = Scripted::start(database).await;
    let assign = session.take_job().await;
    drop(session);
    story.cancel(&path).await;
    let (job_id, lease_id) = (assign.job_id.clone(), assign.lease_id.clone());
    story.daemon.held.push(HeldJob { job_id, lease_id, phase: JobPhase::Preparing.into(), last_log_number: 0 });
    let back = Session::register(&story.deployment, &story.key, story.daemon.clone()).await;
    let (mut session, registered) = back.unwrap();
    assert_eq!(registered.resumed.len(), 1, "{registered:?}");
    let cancel = |message| match message {
        Heard::Cancel(cancel) => Some(cancel),
        _ => None,
    };
    assert_eq!(session.find("Cancel", cancel).await.lease_id, assign.lease_id);
    assert_eq!(session.permit(&assign).await.verdict(), Verdict::Canceled);
    session.finish(&assign, Outcome::Canceled, 0).await;
    let job = story.owner.get(&path).await.expect(200)["job"].clone();
    assert!(job["status"] == "canceled" && job.get("error").is_none(), "{job}");
}

async fn a_cancel_of_what_never_comes_back_ends(database: Databases) {
    for (permitted, status, words) in [
        (false, "canceled", "was lost before it changed anything"),
        (true, "failed", "was lost while it was changing resources"),
    ] {
        let (mut story, mut session, path) = Scripted::start(database).await;
        let assign = session.take_job().await;
        if permitted {
            assert_eq!(session.permit(&assign).await.verdict(), Verdict::Go);
        }
        drop(session);
        story.cancel(&path).await;
        let build = story.owner.built(path.rsplit('/').next().unwrap(), LONG).await;
        let job = build["job"].clone();
        assert!(job["status"] == status && job["canceled_at"].is_string(), "{job}");
        let log = outputs(&story.owner.logs(&path).await);
        assert!(log.contains(words), "{log}");
        assert_eq!(job["error"].as_str(), permitted.then_some(log.as_str()));

        // Too late: the end stays what it is.
        let (job_id, lease_id) = (assign.job_id.clone(), assign.lease_id.clone());
        story.daemon.held.push(HeldJob { job_id, lease_id, phase: JobPhase::Finished.into(), last_log_number: 0 });
        let back = Session::register(&story.deployment, &story.key, story.daemon.clone()).await;
        let (mut session, registered) = back.unwrap();
        assert_eq!(registered.lost.len(), 1, "{registered:?}");
        session.say(Said::Result(result(&assign, Outcome::Succeeded, 0))).await;
        if permitted {
            session.find("LeaseLost", |message| matches!(message, Heard::LeaseLost(_)).then_some(())).await;
        } else {
            assert_eq!(session.end().await.code(), Code::InvalidArgument, "nothing is salvaged of it");
        }
        assert_eq!(story.owner.get(&path).await.expect(200)["job"], job);
    }
}

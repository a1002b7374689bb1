//! The real daemon, with real Terraform where there is one.

use std::time::Duration;

use orgplane_tests::wait::SHORT;
use orgplane_tests::world::{outputs, text};
use orgplane_tests::{Archive, Daemon, Databases, Deployment, LONG, Rest, terraform, terraforms};
use serde_json::{Value, json};

on_each_database!(terraform_from_import_to_delete);

const LINE: &str = "the-line-of-a-local-exec";

async fn terraform_from_import_to_delete(database: Databases) {
    for program in terraforms() {
        from_import_to_delete(database, program).await;
    }
}

async fn from_import_to_delete(database: Databases, program: &str) {
    let deployment = Deployment::on(database).start().await;
    let owner = deployment.rest().first_user().await;
    let organization = owner.organization("data-platform").await;
    let key = owner.key(&organization, "data-cluster-key", json!({})).await;
    let mut daemon = Daemon::start_with(&deployment, "cluster", &key, "terraform", &["--terraform-path", program]);
    let shown = owner.daemon(&organization, "cluster", "idle").await;
    assert_eq!(shown["provisioners"], json!(["terraform"]));

    let template = owner.template(&organization, "hello", Archive::terraform(LINE), "terraform").await;
    let version = owner.get(&format!("/api/v2/templateversions/{}", text(&template, "active_version_id"))).await;
    assert_eq!(version.expect(200)["readme"], "# An example\n");

    let workspace = owner.workspace("dev", &template).await;
    let build = owner.built(&text(&workspace["latest_build"], "id"), LONG).await;
    assert_eq!(build["status"], "running", "{build}");
    assert_eq!(build["resources"][0]["type"], "terraform_data", "{build}");
    let path = format!("/api/v2/workspacebuilds/{}", text(&build, "id"));
    let logs = owner.logs(&path).await;
    assert!(outputs(&logs).contains(LINE), "{}", outputs(&logs));
    assert!(logs.iter().all(|line| !line["stage"].as_str().unwrap().is_empty()), "{logs:?}");
    let state: Value = serde_json::from_slice(&owner.get(&format!("{path}/state")).await.bytes).unwrap();
    assert_eq!(state["resources"][0]["type"], "terraform_data", "{state}");

    let resources = owner.get(&format!("{path}/resources")).await.expect(200);
    assert_eq!(resources[0]["name"], "hello", "{resources}");
    let timings = owner.get(&format!("{path}/timings")).await.expect(200);
    let spans = timings["provisioner_timings"].as_array().unwrap();
    for stage in ["init", "plan", "apply"] {
        let of_job = |s: &&Value| s["stage"] == stage && s["job_id"] == build["job"]["id"];
        assert!(spans.iter().any(|s| of_job(&s)), "{stage}: {timings}");
    }
    assert!(spans.iter().any(|s| s["resource"] == "terraform_data.hello" && s["action"] == "create"), "{timings}");
    assert_eq!(owner.get(&format!("/api/v2/workspaces/{}/timings", text(&workspace, "id"))).await.expect(200), timings);
    let builds = owner.get(&format!("/api/v2/workspaces/{}/builds", text(&workspace, "id"))).await.expect(200);
    assert_eq!(builds, json!([build]));
    assert_eq!(owner.get("/api/v2/users/me/workspace/dev/builds/1").await.expect(200), build);
    let jobs = owner.get(&format!("/api/v2/organizations/{organization}/provisionerjobs")).await.expect(200);
    assert_eq!((&jobs[0]["id"], &jobs[0]["metadata"]["workspace_name"]), (&build["job"]["id"], &json!("dev")));

    let deleted = owner.build(&workspace, "delete").await;
    let deleted = owner.built(&text(&deleted, "id"), LONG).await;
    assert_eq!(deleted["status"], "deleted", "{deleted}");
    let path = format!("/api/v2/workspacebuilds/{}", text(&deleted, "id"));
    let state: Value = serde_json::from_slice(&owner.get(&format!("{path}/state")).await.bytes).unwrap();
    assert_eq!(state["resources"], json!([]), "{state}");
    assert!(!daemon.process().output().contains(&key), "the daemon's log has its key");
}

async fn failed_import(owner: &Rest, organization: &str, main: &str) -> (Value, String) {
    let tar = Archive::default().file("main.tf", main.as_bytes()).finish();
    let version = owner.import(organization, tar, "terraform", json!({})).await;
    let version = owner.imported(&text(&version, "id"), LONG).await;
    assert_eq!(version["job"]["status"], "failed", "{version}");
    let logs = owner.logs(&format!("/api/v2/templateversions/{}", text(&version, "id"))).await;
    (version, outputs(&logs))
}

#[tokio::test]
async fn terraform_says_what_is_wrong_with_a_template() {
    if !terraform() {
        return;
    }
    let deployment = Deployment::start().await;
    let (owner, organization, key) = deployment.furnished().await;
    let _daemon = Daemon::start(&deployment, "one", &key, "terraform");
    for (main, message) in [
        ("resource \"terraform_data\" \"x\" {", "Unclosed configuration block"),
        ("resource \"terraform_data\" \"x\" {\n  input = var.unknown\n}", "Reference to undeclared input variable"),
    ] {
        let (version, logs) = failed_import(&owner, &organization, main).await;
        let error = text(&version["job"], "error");
        assert!(error.contains(message), "{message:?} isn't in the error {error:?}");
        assert!(logs.contains(message), "{message:?} isn't in the log\n{logs}");
    }
    // A template must not send its state elsewhere.
    let cloud = "terraform {\n  cloud {\n    organization = \"x\"\n    workspaces {\n      name = \"y\"\n    }\n  }\n}";
    let (version, _) = failed_import(&owner, &organization, cloud).await;
    assert!(text(&version["job"], "error").contains("cloud"), "{version}");
}

#[tokio::test]
async fn a_failing_apply_fails_the_build_and_keeps_the_state() {
    if !terraform() {
        return;
    }
    let deployment = Deployment::start().await;
    let (owner, organization, key) = deployment.furnished().await;
    let _daemon = Daemon::start(&deployment, "one", &key, "terraform");
    let main = r#"
        resource "terraform_data" "good" { input = "kept" }
        resource "terraform_data" "bad" {
          depends_on = [terraform_data.good]
          provisioner "local-exec" { command = "echo about to fail; exit 3" }
        }
    "#;
    let tar = Archive::default().file("main.tf", main.as_bytes()).finish();
    let template = owner.template(&organization, "bad", tar, "terraform").await;
    let workspace = owner.workspace("dev", &template).await;
    let build = owner.built(&text(&workspace["latest_build"], "id"), LONG).await;
    assert_eq!(build["job"]["status"], "failed", "{build}");
    assert!(text(&build["job"], "error").contains("exit status 3"), "{build}");
    let path = format!("/api/v2/workspacebuilds/{}", text(&build, "id"));
    assert!(outputs(&owner.logs(&path).await).contains("about to fail"));
    let state = owner.get(&format!("{path}/state")).await.text();
    assert!(state.contains("kept"), "{state}");
    let deleted = owner.build(&workspace, "delete").await;
    assert_eq!(owner.built(&text(&deleted, "id"), LONG).await["status"], "deleted");
}

#[tokio::test]
async fn a_rejected_key_ends_the_daemon_with_a_sentence() {
    let deployment = Deployment::start().await;
    let (owner, _, key) = deployment.furnished().await;
    let path = "/api/v2/organizations/data-platform/provisionerkeys/key";
    let _ = owner.delete(path).await.expect(204);
    for (key, word) in [(key.as_str(), "deleted"), ("orgp_nonsense", "malformed"), ("", "key")] {
        let mut daemon = Daemon::start(&deployment, "one", key, "echo");
        let status = daemon.process().exit(SHORT).await;
        assert!(status.code().is_some_and(|code| code != 0 && code != 101), "{status:?}");
        let said = daemon.process().stderr();
        assert!(said.contains(word), "{word:?} isn't in {said}");
        assert!(key.is_empty() || !said.contains(key), "the key is in {said}");
    }
    assert_eq!(deployment.database().rows().await["provisioner_daemon"], 0);
}

#[tokio::test]
async fn the_expected_organization_must_be_the_keys() {
    let deployment = Deployment::start().await;
    let (owner, organization, key) = deployment.furnished().await;
    let mut wrong = Daemon::start_with(&deployment, "one", &key, "echo", &["--org", "default"]);
    let status = wrong.process().exit(SHORT).await;
    assert!(status.code().is_some_and(|code| code != 0 && code != 101), "{status:?}");
    assert!(wrong.process().stderr().contains("default"), "{}", wrong.process().stderr());
    assert_eq!(deployment.database().rows().await["provisioner_daemon"], 0);
    let _right = Daemon::start_with(&deployment, "one", &key, "echo", &["--org", "data-platform"]);
    owner.daemon(&organization, "one", "idle").await;
}

#[tokio::test]
async fn a_daemon_of_another_organization_never_gets_the_job() {
    let deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let ours = owner.organization("ours").await;
    let theirs = owner.organization("theirs").await;
    let their_key = owner.key(&theirs, "key", json!({})).await;
    let _their_daemon = Daemon::start(&deployment, "theirs", &their_key, "echo");
    owner.daemon(&theirs, "theirs", "idle").await;
    let version = owner.import(&ours, Archive::echo(&json!({})), "echo", json!({})).await;
    assert_eq!(version["matched_provisioners"]["count"], 0, "{version}");
    // A job of its own, queued later, shows that theirs was asked and ours was passed over.
    let other = owner.import(&theirs, Archive::echo(&json!({})), "echo", json!({})).await;
    assert_eq!(owner.imported(&text(&other, "id"), LONG).await["job"]["worker_name"], "theirs");
    let path = format!("/api/v2/templateversions/{}", text(&version, "id"));
    assert_eq!(owner.get(&path).await.expect(200)["job"]["status"], "pending");
    let key = owner.key(&ours, "key", json!({})).await;
    let _our_daemon = Daemon::start(&deployment, "ours", &key, "echo");
    assert_eq!(owner.imported(&text(&version, "id"), LONG).await["job"]["worker_name"], "ours");
}

#[tokio::test]
async fn a_daemon_takes_as_many_jobs_as_it_has_room_for() {
    let deployment = Deployment::start().await;
    let (owner, organization, key) = deployment.furnished().await;
    let _daemon = Daemon::start_with(&deployment, "one", &key, "echo", &["--capacity", "2"]);
    owner.daemon(&organization, "one", "idle").await;
    let script = json!({"import": {"logs": [{"output": "slow", "delay_ms": 600_000}]}});
    let mut paths = Vec::new();
    for _ in 0..3 {
        let version = owner.import(&organization, Archive::echo(&script), "echo", json!({})).await;
        paths.push(format!("/api/v2/templateversions/{}", text(&version, "id")));
    }
    owner.in_status(&paths[0], "running").await;
    owner.in_status(&paths[1], "running").await;
    let third = owner.get(&paths[2]).await.expect(200);
    assert_eq!((&third["job"]["status"], &third["job"]["queue_position"]), (&json!("pending"), &json!(1)));
    let _ = owner.patch(&format!("{}/cancel", paths[0]), json!({})).await.expect(200);
    owner.in_status(&paths[0], "canceled").await;
    owner.in_status(&paths[2], "running").await;
    for path in &paths[1..] {
        let _ = owner.patch(&format!("{path}/cancel"), json!({})).await.expect(200);
        owner.in_status(path, "canceled").await;
    }
}

#[tokio::test]
async fn a_daemon_survives_the_death_of_its_server() {
    let mut deployment = Deployment::on(Databases::Sqlite).flag("--lease", "60s").start().await;
    let (owner, organization, key) = deployment.furnished().await;
    let _daemon = Daemon::start(&deployment, "one", &key, "echo");
    let lines = json!({"import": {"logs": [{"output": "line {workspace}", "delay_ms": 100, "repeat": 60}]}});
    let version = owner.import(&organization, Archive::echo(&lines), "echo", json!({})).await;
    let path = format!("/api/v2/templateversions/{}", text(&version, "id"));
    owner.in_status(&path, "running").await;
    deployment.process().signal(nix::sys::signal::Signal::SIGKILL);
    deployment.process().exit(Duration::from_secs(5)).await;
    deployment.start_again().await;
    let version = owner.imported(&text(&version, "id"), LONG).await;
    assert_eq!(version["job"]["status"], "succeeded", "{version}");
    let lines = owner.logs(&path).await.iter().filter(|line| line["log_source"] == "provisioner").count();
    assert!(lines >= 60, "{lines} lines of 60");
}

//! Daemons that the server runs itself: there from the start, started again, gone with the server.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use orgplane_tests::wait::SHORT;
use orgplane_tests::world::text;
use orgplane_tests::{Archive, Builder, Databases, Deployment, LONG, eventually};
use serde_json::{Value, json};

fn with_daemons(database: Databases, count: &str) -> Builder {
    let builder = Deployment::on(database).flag("--provisioner-daemons", count).flag("--provisioner-types", "echo");
    builder.flag("--provisioner-name", "here").unrecorded()
}

/// The processes of a server's daemons, by what their command lines name.
fn processes(deployment: &Deployment) -> Vec<(Pid, String)> {
    let folder = deployment.folder().join("provisioners").to_string_lossy().into_owned();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(&folder) {
            found.push((Pid::from_raw(pid), line));
        }
    }
    found
}

async fn gone(deployment: &Deployment) {
    eventually("the end of all daemons", SHORT, async || processes(deployment).is_empty().then_some(())).await;
}

on_each_database!(they_serve_the_default_organization);

async fn they_serve_the_default_organization(database: Databases) {
    let mut deployment = with_daemons(database, "2").start().await;
    let owner = deployment.rest().first_user().await;
    let organization = owner.default_organization().await;
    for name in ["here-0", "here-1"] {
        let daemon = owner.daemon(&organization, name, "idle").await;
        assert_eq!(daemon["key_name"], "built-in", "{daemon}");
        assert_eq!(daemon["key_id"], "00000000-0000-0000-0000-000000000001", "{daemon}");
        assert_eq!(daemon["tags"], json!({"scope": "organization", "owner": ""}), "{daemon}");
    }
    let keys = owner.get("/api/v2/organizations/default/provisionerkeys").await.expect(200);
    assert_eq!(keys, json!([]), "their key is nobody's to see or delete");
    owner.delete("/api/v2/organizations/default/provisionerkeys/built-in").await.refused(400);
    let template = owner.template(&organization, "echo", Archive::echo(&json!({})), "echo").await;
    let workspace = owner.workspace("dev", &template).await;
    let build = owner.built(&text(&workspace["latest_build"], "id"), LONG).await;
    assert_eq!(build["job"]["status"], "succeeded", "{build}");

    // Another organization's jobs are none of theirs.
    let other = owner.organization("data-platform").await;
    let version = owner.import(&other, Archive::echo(&json!({})), "echo", json!({})).await;
    assert_eq!(version["matched_provisioners"]["count"], 0, "{version}");

    for (_, line) in processes(&deployment) {
        assert!(!line.contains("orgp_"), "the key is on a command line");
    }
    assert_eq!(deployment.stop().await.code(), Some(0));
    gone(&deployment).await;
    assert_eq!(deployment.database().rows().await["provisioner_key_secret"], 0, "their keys end with them");
    deployment.start_again().await;
    owner.daemon(&organization, "here-0", "idle").await;
}

#[tokio::test]
async fn one_that_dies_is_started_again_and_none_outlives_the_server() {
    let mut deployment = with_daemons(Databases::Sqlite, "2").start().await;
    let owner = deployment.rest().first_user().await;
    let organization = owner.default_organization().await;
    owner.daemon(&organization, "here-1", "idle").await;
    let (victim, _) = processes(&deployment).into_iter().find(|(_, line)| line.contains("here-1")).unwrap();
    kill(victim, Signal::SIGKILL).unwrap();
    deployment.process().says("restarts", SHORT).await;
    let again = eventually("another process", SHORT, async || {
        processes(&deployment).into_iter().find(|(pid, line)| line.contains("here-1") && *pid != victim)
    });
    again.await;
    owner.daemon(&organization, "here-1", "idle").await;
    deployment.process().signal(Signal::SIGKILL);
    gone(&deployment).await;
}

#[tokio::test]
async fn a_running_job_ends_before_the_server_does() {
    let mut deployment = with_daemons(Databases::Sqlite, "1").start().await;
    let owner = deployment.rest().first_user().await;
    let organization = owner.default_organization().await;
    let script = json!({"import": {"logs": [{"output": "working", "delay_ms": 300, "repeat": 10}]}});
    let version = owner.import(&organization, Archive::echo(&script), "echo", json!({})).await;
    let path = format!("/api/v2/templateversions/{}", text(&version, "id"));
    owner.in_status(&path, "running").await;
    deployment.process().signal(Signal::SIGTERM);
    // Meanwhile it serves those who are here, and says that it takes nobody new.
    let unready = async || (deployment.rest().get("/readyz").await.status == 503).then_some(());
    eventually("the server to be unready", SHORT, unready).await;
    let _ = deployment.rest().get("/healthz").await.expect(200);
    assert_eq!(owner.get(&path).await.expect(200)["job"]["status"], "running");
    assert_eq!(deployment.process().exit(SHORT).await.code(), Some(0));
    gone(&deployment).await;
    deployment.start_again().await;
    let version = owner.get(&path).await.expect(200);
    assert_eq!(version["job"]["status"], "succeeded", "{version}");
}

#[tokio::test]
async fn an_interrupt_does_not_wait_for_jobs() {
    let mut deployment = with_daemons(Databases::Sqlite, "1").start().await;
    let owner = deployment.rest().first_user().await;
    let organization = owner.default_organization().await;
    let script = json!({"import": {"logs": [{"output": "working", "delay_ms": 600_000}]}});
    let version = owner.import(&organization, Archive::echo(&script), "echo", json!({})).await;
    let path = format!("/api/v2/templateversions/{}", text(&version, "id"));
    owner.in_status(&path, "running").await;
    deployment.process().signal(Signal::SIGINT);
    assert_eq!(deployment.process().exit(SHORT).await.code(), Some(0));
    gone(&deployment).await;
}

#[tokio::test]
async fn without_an_engine_the_server_says_so_and_goes_on() {
    let empty = tempfile::tempdir().unwrap();
    let nothing = empty.path().join("terraform");
    let builder = Deployment::on(Databases::Sqlite).flag("--provisioner-daemons", "3");
    let mut deployment = builder.flag("--terraform-path", nothing.to_str().unwrap()).start().await;
    deployment.process().says("no built-in provisioner daemons run", SHORT).await;
    let said = deployment.process().stderr();
    assert!(said.contains("Terraform") && said.contains("OpenTofu") && said.contains("https://"), "{said}");
    assert_eq!(said.matches("no built-in provisioner daemons run").count(), 1, "{said}");
    let owner = deployment.rest().first_user().await;
    let daemons = owner.get("/api/v2/organizations/default/provisionerdaemons?offline=true").await.expect(200);
    assert_eq!(daemons.as_array().map(Vec::len), Some(0), "{daemons}");
    assert!(processes(&deployment).is_empty());
}

#[tokio::test]
async fn a_daemon_that_ends_in_order_is_offline_at_once() {
    let deployment = Deployment::on(Databases::Sqlite).flag("--contact-lost-after", "60s").start().await;
    let (owner, organization, key) = deployment.furnished().await;
    let mut daemon = orgplane_tests::Daemon::start(&deployment, "one", &key, "echo");
    owner.daemon(&organization, "one", "idle").await;
    assert_eq!(daemon.process().stop().await.code(), Some(0));
    let shown: Value = owner.daemon(&organization, "one", "offline").await;
    assert!(shown["last_seen_at"].is_string(), "{shown}");
    let listed = owner.get("/api/v2/organizations/data-platform/provisionerdaemons").await.expect(200);
    assert_eq!(listed, json!([]));
    let mut again = orgplane_tests::Daemon::start(&deployment, "one", &key, "echo");
    owner.daemon(&organization, "one", "idle").await;
    // One that is killed may come back.
    again.process().signal(Signal::SIGKILL);
    again.process().exit(Duration::from_secs(5)).await;
    let listed = owner.get("/api/v2/organizations/data-platform/provisionerdaemons").await.expect(200);
    assert_eq!(listed[0]["status"], "idle");
}

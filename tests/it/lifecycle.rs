//! The server's life: ready, stopped, started again, alone on its SQLite file.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use orgplane_proto::provisioner::v1::GoAwayReason;
use orgplane_proto::provisioner::v1::server_message::Message as Heard;
use orgplane_tests::wait::SHORT;
use orgplane_tests::world::text;
use orgplane_tests::{Archive, Daemon, Databases, Deployment, LONG, Process, Session};
use serde_json::json;
use tonic::Code;

on_each_database!(a_restart_keeps_everything);

async fn a_restart_keeps_everything(database: Databases) {
    let mut deployment = Deployment::on(database).unrecorded().start().await;
    let (owner, organization, key) = deployment.furnished().await;
    let _daemon = Daemon::start(&deployment, "one", &key, "echo");
    let script = json!({"start": {"apply": true, "state": {"lineage": "a", "serial": 1, "content": "kept"}}});
    let template = owner.template(&organization, "echo", Archive::echo(&script), "echo").await;
    let workspace = owner.workspace("dev", &template).await;
    let build = text(&workspace["latest_build"], "id");
    owner.built(&build, LONG).await;
    let paths = [
        "/api/v2/buildinfo".to_owned(),
        "/api/v2/organizations".to_owned(),
        "/api/v2/organizations/data-platform/provisionerkeys".to_owned(),
        "/api/v2/templates".to_owned(),
        format!("/api/v2/workspacebuilds/{build}"),
        format!("/api/v2/workspacebuilds/{build}/logs"),
    ];
    let mut before = Vec::new();
    for path in &paths {
        before.push(owner.get(path).await.expect(200));
    }

    let start = Instant::now();
    let status = deployment.stop().await;
    assert_eq!(status.code(), Some(0), "SIGTERM is a clean end");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    deployment.start_again().await;
    for (path, before) in paths.iter().zip(before) {
        assert_eq!(owner.get(path).await.expect(200), before, "{path}");
    }
    assert_eq!(owner.get(&format!("/api/v2/workspacebuilds/{build}/state")).await.text(), "kept");
    // The daemon finds its way back by itself.
    owner.daemon(&organization, "one", "idle").await;
    let build = owner.build(&workspace, "delete").await;
    assert_eq!(owner.built(&text(&build, "id"), LONG).await["status"], "deleted");
}

#[tokio::test]
async fn the_probes_answer() {
    let deployment = Deployment::start().await;
    let rest = deployment.rest();
    for path in ["/healthz", "/readyz"] {
        let _ = rest.get(path).await.expect(200);
    }
    let hello = rest.get("/api/v2").await;
    assert!(!text(&hello.expect(200), "message").is_empty());
    assert_eq!(hello.headers["x-content-type-options"], "nosniff");
    assert!(hello.headers.contains_key("x-coder-request-id"));
    rest.get("/api/v2/nothing/here").await.refused(404);
    rest.delete("/api/v2/users/login").await.refused(405);
}

#[tokio::test]
async fn open_streams_are_sent_away_and_do_not_hold_up_the_end() {
    let mut deployment = Deployment::start().await;
    let (_, _, key) = deployment.furnished().await;
    let mut session = Session::start(&deployment, &key, "one").await;
    // Nor does one who doesn't listen.
    let _deaf = Session::start(&deployment, &key, "two").await;
    let start = Instant::now();
    deployment.process().signal(Signal::SIGTERM);
    let away = |message| match message {
        Heard::GoAway(away) => Some(away),
        _ => None,
    };
    let away = session.find("GoAway", away).await;
    assert_eq!(away.reason(), GoAwayReason::Draining, "{away:?}");
    assert!(away.retry_after.is_some(), "{away:?}");
    let status = session.end().await;
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(status.message().contains("stopping"), "{status:?}");
    assert_eq!(deployment.process().exit(SHORT).await.code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_second_server_on_the_same_file_is_refused() {
    let deployment = Deployment::start().await;
    let mut second = Process::start("second server", &mut deployment.second_server());
    let status = second.exit(SHORT).await;
    assert!(status.code().is_some_and(|code| code != 0 && code != 101), "{status:?}");
    assert!(second.stderr().contains("orgplane.db"), "the file isn't named: {}", second.stderr());
    assert_eq!(second.stdout(), "");
    let _ = deployment.rest().get("/readyz").await.expect(200);
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let mut deployment = Deployment::start().await;
    assert!(deployment.stop().await.success());
    let newer = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m29990101_000001_of_the_future', 0)";
    deployment.database().execute(newer).await;
    let mut server = Process::start("old server", &mut deployment.second_server());
    let status = server.exit(SHORT).await;
    assert!(status.code().is_some_and(|code| code != 0 && code != 101), "{status:?}\n{}", server.output());
    assert!(server.stderr().contains("m29990101_000001_of_the_future"), "{}", server.stderr());
}

#[tokio::test]
async fn another_sealing_key_is_refused() {
    let mut deployment = Deployment::start().await;
    assert!(deployment.stop().await.success());
    let key = deployment.folder().join("sealing.key");
    assert!(key.is_file(), "the sealing key stands in the data directory");
    std::fs::remove_file(key).unwrap();
    let mut server = Process::start("server", &mut deployment.second_server());
    let status = server.exit(SHORT).await;
    assert!(status.code().is_some_and(|code| code != 0 && code != 101), "{status:?}");
    assert!(server.stderr().to_lowercase().contains("sealing key"), "{}", server.stderr());
}

#[tokio::test]
async fn settings_are_checked_before_anything_binds() {
    let folder = tempfile::tempdir().unwrap();
    for (flag, value) in [
        ("--http-address", "nowhere"),
        ("--http-address", "127.0.0.1:99999"),
        ("--database-url", "mysql://localhost/x"),
        ("--database-url", ""),
        ("--lease", "soon"),
        ("--lease", "0s"),
        ("--bogus", "1"),
    ] {
        let mut command = orgplane_tests::binary::command();
        command.args(["server", flag, value, "--data-dir"]).arg(folder.path());
        if flag != "--http-address" {
            command.args(["--http-address", "127.0.0.1:0"]);
        }
        let mut server = Process::start("server", &mut command);
        let status = server.exit(SHORT).await;
        assert!(status.code().is_some_and(|code| code != 0 && code != 101), "{flag} {value}: {status:?}");
        assert!(!server.stderr().is_empty() && server.stdout().is_empty(), "{flag} {value}: {}", server.output());
    }
}

//! Engines that behave badly, played by a shell script in Terraform's place.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use orgplane_daemon::{Config, EngineKind};
use orgplane_proto::provisioner::v1::server_message::Message as Say;
use orgplane_proto::provisioner::v1::{Cancel, LogLevel, Outcome, WorkspaceTransition};
use tokio::time::Instant;

use crate::fake::{Server, Story, refusal};

/// Answers as Terraform does until it is to plan; then does `plan`.
fn config(server: &Server, plan: &str) -> Config {
    engine(server, &format!("plan) {plan} ;;"))
}

/// Does what the cases say, and nothing for other commands.
fn engine(server: &Server, cases: &str) -> Config {
    let script = format!("#!/bin/sh\ncase \"$1\" in\nversion) echo 'Terraform v1.11.4' ;;\n{cases}\nesac\n");
    let path = server.dir.path().join("engine");
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let mut config = server.config(EngineKind::Terraform);
    config.terraform_path = Some(path);
    config
}

async fn import(plan: &str) -> Story {
    let mut server = Server::start().await;
    let (_stop, _daemon) = server.daemon_with(config(&server, plan));
    let mut peer = server.registered().await;
    let job = server.import("terraform", &[("main.tf", "")]);
    peer.run(&job).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_ignores_the_interrupt_is_killed_with_its_children() {
    let mut server = Server::start().await;
    let plan = "trap '' INT TERM; echo begun; sleep 300 & echo $! > child; wait";
    let (_stop, _daemon) = server.daemon_with(config(&server, plan));
    let mut peer = server.registered().await;
    let job = server.import("terraform", &[("main.tf", "")]);
    let mut story = Story::default();
    peer.say(Say::Assign(job.clone())).await;
    peer.follow(&job, &mut story, |s| s.count("begun") > 0).await;
    let child =
        server.dir.path().join("work").join("jobs").join(format!("{}.1", job.job_id)).join("work").join("child");
    crate::fake::eventually("the child runs", || fs::read_to_string(&child).is_ok_and(|t| t.ends_with('\n'))).await;
    let child = fs::read_to_string(child).unwrap().trim().to_owned();
    let (job_id, lease_id) = (job.job_id.clone(), job.lease_id.clone());
    let grace = Some(prost_types::Duration { seconds: 1, nanos: 0 });
    let told = Instant::now();
    peer.say(Say::Cancel(Cancel { job_id, lease_id, reason: "enough".to_owned(), grace })).await;
    peer.follow(&job, &mut story, |_| false).await;
    assert_eq!((story.result().outcome(), story.result().error.as_str()), (Outcome::Canceled, "enough"));
    assert!(told.elapsed() >= Duration::from_secs(1), "it had its grace");
    crate::fake::eventually("the child is dead", || {
        fs::read_to_string(format!("/proc/{child}/stat")).map_or(true, |stat| stat.contains(") Z "))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn output_of_any_length_and_kind_is_taken() {
    let plan = r"head -c 700000 /dev/zero | tr '\0' x; echo; printf 'odd \377\n'; printf 'last'; exit 3";
    let story = import(plan).await;
    assert_eq!(story.result().outcome(), Outcome::Failed);
    assert!(story.result().error.contains("code 3"), "{}", story.result().error);
    let long: usize = story.logs.iter().filter(|l| l.output.starts_with("xxx")).map(|l| l.output.len()).sum();
    assert_eq!(long, 256 * 1024, "a longer line is cut");
    assert_eq!((story.count("was cut"), story.count("odd \u{fffd}"), story.count("last")), (1, 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn more_output_than_a_job_may_have_ends_in_a_notice() {
    let story = import("yes 'a line that is said again and again' | head -n 60000; echo oh >&2; exit 1").await;
    assert_eq!(story.result().outcome(), Outcome::Failed, "the job went on to its end");
    let last = story.logs.last().unwrap();
    assert!(last.output.contains("left out") && last.level() == LogLevel::Warn, "{last:?}");
    let bytes: usize = story.logs.iter().map(|l| l.output.len()).sum();
    assert!((900_000..=1024 * 1024).contains(&bytes), "{bytes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn children_that_hold_the_pipe_dont_hold_the_job() {
    let begun = Instant::now();
    let story = import("sleep 300 & echo said; exit 1").await;
    assert_eq!((story.result().outcome(), story.count("said")), (Outcome::Failed, 1));
    assert!(begun.elapsed() < Duration::from_secs(30));
}

/// Starts a workspace whose apply does this, on a server that answers uploads with the status.
async fn apply(apply: &str, refusal: Option<tonic::Status>) -> (Server, Story) {
    let mut server = Server::start().await;
    server.refuse_uploads(refusal);
    let cases = format!("show) echo '{{}}' ;;\napply) {apply} ;;");
    let mut config = engine(&server, &cases);
    config.intervals.apply_grace = Duration::from_secs(1);
    let (_stop, _daemon) = server.daemon_with(config);
    let mut peer = server.registered().await;
    let job = server.build("terraform", &[("main.tf", "")], WorkspaceTransition::Start, None);
    let story = peer.run(&job).await;
    // The stored result would remove the directory at once.
    let next = server.import("terraform", &[("main.tf", "")]);
    assert_eq!(peer.run(&next).await.result().outcome(), Outcome::Succeeded);
    (server, story)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_whose_output_cant_be_read_is_ended_and_its_directory_stays() {
    // The first record becomes one of an impossible length; the doorbell rings again with the second line.
    let script = r#"echo '{"lineage": "a", "serial": 1}' > terraform.tfstate; \
                    for f in ../steps/*-apply/records; do head -c 64 /dev/zero | tr '\0' '\377' >> $f; done; \
                    echo next; sleep 300"#;
    let (server, story) = apply(script, None).await;
    assert_eq!(story.result().outcome(), Outcome::Lost, "{:?}", story.result());
    let dir = Path::new(story.result().error.split_once("is kept in ").unwrap().1);
    assert!(dir.starts_with(server.dir.path()));
    let steps = fs::read_dir(dir.join("steps")).unwrap().map(|e| e.unwrap().path());
    let step = steps.into_iter().find(|p| p.to_string_lossy().ends_with("-apply")).unwrap();
    assert!(step.join("exit.json").exists(), "the engine was interrupted and waited for");
    assert!(story.result().state.is_some(), "its state is handed in");
}

const WRITES_STATE: &str = r#"echo '{"lineage": "a", "serial": 1}' > terraform.tfstate"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_isnt_stored_fails_the_job_and_stays_on_disk() {
    let endless = "ln -s /dev/zero terraform.tfstate";
    let long = "truncate -s 101M terraform.tfstate";
    let refused = refusal(tonic::Code::FailedPrecondition, "the file store is full");
    for (script, refusal, word) in [
        (WRITES_STATE, Some(refused), "the file store is full"),
        (long, None, "longer than"),
        (endless, None, "terraform.tfstate"),
        ("mkfifo terraform.tfstate", None, "not a regular file"),
    ] {
        let (server, story) = apply(script, refusal).await;
        let result = story.result();
        assert_eq!(result.outcome(), Outcome::Failed, "{script}: {result:?}");
        let place = result.error.split_once("keeps it in ").unwrap().1;
        assert!(result.error.contains(word) && place.starts_with(server.dir.path().to_str().unwrap()), "{result:?}");
        assert!(fs::symlink_metadata(Path::new(place).join("terraform.tfstate")).is_ok(), "{script}: the state stays");
    }
    let (_server, story) = apply(WRITES_STATE, None).await;
    assert_eq!(story.result().outcome(), Outcome::Succeeded, "{:?}", story.result());
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_without_a_state_fail_the_job_and_its_directory_stays() {
    let said = |event: &str| format!(r#"{{"type": "apply_{event}", "hook": {{"resource": {{"addr": "a.b"}}}}}}"#);
    for event in ["start", "complete"] {
        let (server, story) = apply(&format!("echo '{}'; : > terraform.tfstate", said(event)), None).await;
        let result = story.result();
        assert_eq!(result.outcome(), Outcome::Failed, "{event}: {result:?}");
        let place = result.error.split_once("keeps it in ").unwrap().1;
        assert!(Path::new(place).starts_with(server.dir.path()) && Path::new(place).is_dir(), "{result:?}");
    }
    let (_server, story) = apply("echo nothing to do", None).await;
    assert_eq!(story.result().outcome(), Outcome::Succeeded, "{:?}", story.result());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_goes_elsewhere_is_noticed_whatever_the_files_say() {
    let mut server = Server::start().await;
    let backend = r#"{"backend": {"type": "http", "config": {"address": "http://127.0.0.1:1"}}}"#;
    let cases = format!("init) mkdir -p .terraform; echo '{backend}' > .terraform/terraform.tfstate ;;");
    let (_stop, _daemon) = server.daemon_with(engine(&server, &cases));
    let mut peer = server.registered().await;
    for job in [
        server.import("terraform", &[("main.tf", "")]),
        server.build("terraform", &[("main.tf", "")], WorkspaceTransition::Start, None),
    ] {
        let story = peer.run(&job).await;
        assert_eq!((story.result().outcome(), story.asked), (Outcome::Failed, None), "{}", story.text());
        assert!(story.result().error.contains("elsewhere (http)"), "{}", story.result().error);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_in_a_files_place_holds_nobody_up() {
    let mut server = Server::start().await;
    let cases = "show) echo '{}' ;;\ninit) mkdir -p .terraform/modules; mkfifo .terraform/modules/modules.json ;;";
    let (_stop, _daemon) = server.daemon_with(engine(&server, cases));
    let mut peer = server.registered().await;
    let job = server.import("terraform", &[("main.tf", "")]);
    assert_eq!(peer.run(&job).await.result().outcome(), Outcome::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_engine_leaves_behind_ends_with_it() {
    // One in the engine's group, one that left it, and a child of that.
    let plan = "{ sleep 300 & echo pid $!; \
                setsid -f sh -c 'sleep 300 & echo pid $! >&3; echo pid $$ >&3; exec sleep 300'; } 3>&1 2>/dev/null; \
                sleep 0.3; exit 1";
    let begun = Instant::now();
    let story = import(plan).await;
    assert_eq!(story.result().outcome(), Outcome::Failed);
    let pids: Vec<&str> = story.logs.iter().filter_map(|l| l.output.strip_prefix("pid ")).collect();
    assert_eq!(pids.len(), 3, "{}", story.text());
    for pid in pids {
        assert!(!Path::new("/proc").join(pid).exists(), "{pid} still runs after {:?}", begun.elapsed());
    }
}

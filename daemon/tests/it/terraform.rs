//! Real Terraform, with its built-in provider only.

use std::process::Command;

use std::time::Duration;

use orgplane_daemon::EngineKind;
use orgplane_proto::provisioner::v1::result::Payload;
use orgplane_proto::provisioner::v1::server_message::Message as Say;
use orgplane_proto::provisioner::v1::{
    Cancel, JobErrorCode, LeaseLost, Outcome, Registered, ResumedJob, VariableValue, WorkspaceTransition,
};

use crate::fake::{Server, Story, eventually, job_dirs, terms};

const HELLO: &str = include_str!("../../../deploy/templates/hello/main.tf");
const README: &str = include_str!("../../../deploy/templates/hello/README.md");

/// Whether Terraform is here; a missing one is a failure where it is required.
fn terraform() -> bool {
    let found = Command::new("terraform").arg("version").output().is_ok_and(|o| o.status.success());
    let required = std::env::var("ORGPLANE_TESTS_REQUIRE").unwrap_or_default();
    assert!(found || !required.split(',').any(|r| r == "terraform"), "Terraform is required and not on PATH");
    if !found {
        eprintln!("skipped: Terraform is not on PATH");
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_is_imported_started_and_deleted() {
    if !terraform() {
        return;
    }
    let mut server = Server::start().await;
    let (_stop, _daemon) = server.daemon(EngineKind::Terraform);
    let mut peer = server.registered().await;
    let files = [("main.tf", HELLO), ("README.md", README)];

    let story = peer.run(&server.import("terraform", &files)).await;
    assert_eq!(story.result().outcome(), Outcome::Succeeded, "{}\n{:?}", story.text(), story.result());
    let discovered = story.discovered.as_ref().unwrap();
    assert!(discovered.readme.starts_with("# Hello"));
    let variable = &discovered.variables[0];
    assert_eq!((variable.name.as_str(), variable.default_value.as_str()), ("greeting", "hello"));
    let Some(Payload::TemplateImport(import)) = &story.result().payload else { panic!("{story:?}") };
    assert_eq!(import.start_resources[0].address, "terraform_data.hello");
    assert_eq!(import.stop_resources.len(), 1);
    assert_eq!(story.asked, None, "an import applies nothing");
    let stages = [
        "Setting up",
        "Parsing template parameters",
        "Initializing Terraform Directory",
        "Detecting persistent resources",
        "Detecting ephemeral resources",
        "Cleaning Up",
    ];
    let markers: Vec<_> = story.logs.iter().filter(|l| l.output.is_empty()).map(|l| l.stage.as_str()).collect();
    assert_eq!(markers, stages);

    let story = peer.run(&server.build("terraform", &files, WorkspaceTransition::Start, None)).await;
    assert_eq!(story.result().outcome(), Outcome::Succeeded, "{}\n{:?}", story.text(), story.result());
    assert!(story.count("hello from dev") >= 1, "{}", story.text());
    assert_eq!(story.asked, Some(0));
    let state = story.result().state.clone().unwrap();
    assert_eq!(story.checkpoints.last().unwrap(), &state);
    let text = String::from_utf8(server.bytes(state.reference.as_ref().unwrap())).unwrap();
    assert!(text.contains("\"terraform_data\""), "{text}");
    let Some(Payload::WorkspaceBuild(build)) = &story.result().payload else { panic!("{story:?}") };
    assert_eq!(build.resources[0].r#type, "terraform_data");
    let stages: Vec<_> = story.result().timings.iter().map(|t| t.stage.as_str()).collect();
    assert!(["init", "plan", "graph", "apply"].iter().all(|s| stages.contains(s)), "{stages:?}");

    let serial = state.serial;
    let story = peer.run(&server.build("terraform", &files, WorkspaceTransition::Delete, Some(state))).await;
    assert_eq!(story.result().outcome(), Outcome::Succeeded, "{}\n{:?}", story.text(), story.result());
    let state = story.result().state.clone().unwrap();
    assert!(state.serial > serial);
    let text = String::from_utf8(server.bytes(state.reference.as_ref().unwrap())).unwrap();
    assert!(!text.contains("\"terraform_data\""), "{text}");

    let story = peer.run(&server.build("terraform", &files, WorkspaceTransition::Delete, None)).await;
    assert_eq!(story.result().outcome(), Outcome::Succeeded);
    assert_eq!((story.count("nothing to delete"), story.asked), (1, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_templates_fail_with_the_reason() {
    if !terraform() {
        return;
    }
    let mut server = Server::start().await;
    let (_stop, _daemon) = server.daemon(EngineKind::Terraform);
    let mut peer = server.registered().await;
    let cases = [
        ("resource \"terraform_data\" {{\n", "Argument or block definition required"),
        ("resource \"terraform_data\" \"x\" {\n  input = var.nothing\n}\n", "Reference to undeclared input variable"),
        ("terraform {\n  cloud {\n    organization = \"x\"\n  }\n}\n", "`cloud` block"),
    ];
    for (text, expected) in cases {
        let story = peer.run(&server.import("terraform", &[("main.tf", text)])).await;
        let result = story.result();
        assert_eq!(result.outcome(), Outcome::Failed);
        assert!(result.error.contains(expected), "{}\n{}", result.error, story.text());
        assert!(story.count(expected) > 0, "{}", story.text());
    }
    let story = peer.run(&server.import("terraform", &[("main.tf", "variable \"size\" {}\n")])).await;
    assert_eq!(story.result().error_code(), JobErrorCode::RequiredTemplateVariables);
    assert!(story.result().error.ends_with("size") && story.discovered.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn sensitive_values_are_not_in_the_log() {
    if !terraform() {
        return;
    }
    let mut server = Server::start().await;
    let (_stop, _daemon) = server.daemon(EngineKind::Terraform);
    let mut peer = server.registered().await;
    let text = r#"
        variable "token" {}
        resource "terraform_data" "x" {
          provisioner "local-exec" {
            command = "echo the token is ${nonsensitive(var.token)}"
          }
        }
    "#;
    // Terraform itself doesn't know that it is sensitive.
    let text = text.replace("nonsensitive(var.token)", "var.token");
    let mut job = server.build("terraform", &[("main.tf", &text)], WorkspaceTransition::Start, None);
    job.variables = vec![VariableValue { name: "token".to_owned(), value: "t0p-secret".to_owned(), sensitive: true }];
    let story = peer.run(&job).await;
    assert_eq!(story.result().outcome(), Outcome::Succeeded, "{}", story.text());
    assert!(story.count("the token is (sensitive value)") > 0, "{}", story.text());
    assert_eq!(story.count("t0p-secret"), 0);
}

/// Prints numbered lines for a while.
const TALKER: &str = r#"
resource "terraform_data" "talk" {
  provisioner "local-exec" {
    command = "for i in $(seq 101 140); do echo line $i; sleep 0.05; done"
  }
}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_stream_costs_no_line() {
    if !terraform() {
        return;
    }
    let mut server = Server::start().await;
    let (_stop, _daemon) = server.daemon(EngineKind::Terraform);
    let mut peer = server.registered().await;
    let job = server.build("terraform", &[("main.tf", TALKER)], WorkspaceTransition::Start, None);
    let mut story = Story::default();
    peer.say(Say::Assign(job.clone())).await;
    for cut in ["line 105", "line 115"] {
        peer.follow(&job, &mut story, |s| s.count(cut) > 0).await;
        drop(peer);
        peer = server.peer().await;
        let next_log_number = story.logs.len() as i64 + 1;
        let resumed = ResumedJob { job_id: job.job_id.clone(), lease_id: job.lease_id.clone(), next_log_number };
        peer.say(Say::Registered(Registered { resumed: vec![resumed], ..terms() })).await;
    }
    peer.follow(&job, &mut story, |_| false).await;
    assert_eq!(story.result().outcome(), Outcome::Succeeded, "{}", story.text());
    for i in 101..=140 {
        let line = format!("(local-exec): line {i}");
        assert_eq!(story.logs.iter().filter(|l| l.output.ends_with(&line)).count(), 1, "{line}\n{}", story.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_while_applying_leaves_a_state() {
    if !terraform() {
        return;
    }
    let mut server = Server::start().await;
    let (_stop, _daemon) = server.daemon(EngineKind::Terraform);
    let mut peer = server.registered().await;
    let text = r#"
        resource "terraform_data" "first" {}
        resource "terraform_data" "second" {
          depends_on = [terraform_data.first]
          provisioner "local-exec" {
            command = "echo begun; sleep 300"
          }
        }
    "#;
    let job = server.build("terraform", &[("main.tf", text)], WorkspaceTransition::Start, None);
    let mut story = Story::default();
    peer.say(Say::Assign(job.clone())).await;
    peer.follow(&job, &mut story, |s| s.count("begun") > 0 && !s.checkpoints.is_empty()).await;
    let (job_id, lease_id) = (job.job_id.clone(), job.lease_id.clone());
    peer.say(Say::Cancel(Cancel { job_id, lease_id, reason: String::new(), grace: None })).await;
    peer.follow(&job, &mut story, |_| false).await;
    assert_eq!(story.result().outcome(), Outcome::Canceled, "{:?}\n{}", story.result(), story.text());
    let state = story.result().state.clone().unwrap();
    let text = String::from_utf8(server.bytes(&state.reference.unwrap())).unwrap();
    assert!(text.contains("\"first\""), "{text}");
}

/// The second resource takes its time.
const SLOW: &str = r#"
resource "terraform_data" "first" {}
resource "terraform_data" "second" {
  depends_on = [terraform_data.first]
  provisioner "local-exec" {
    command = "echo begun; sleep 300"
  }
}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_apply_names_what_may_exist() {
    if !terraform() {
        return;
    }
    let mut server = Server::start().await;
    let (_stop, _daemon) = server.daemon(EngineKind::Terraform);
    let mut peer = server.registered().await;
    let job = server.build("terraform", &[("main.tf", SLOW)], WorkspaceTransition::Start, None);
    let mut story = Story::default();
    peer.say(Say::Assign(job.clone())).await;
    peer.follow(&job, &mut story, |s| s.count("begun") > 0 && !s.checkpoints.is_empty()).await;
    let (job_id, lease_id) = (job.job_id.clone(), job.lease_id.clone());
    let grace = Some(prost_types::Duration { seconds: 0, nanos: 0 });
    peer.say(Say::Cancel(Cancel { job_id, lease_id, reason: "canceled by ada".to_owned(), grace })).await;
    peer.follow(&job, &mut story, |_| false).await;
    let result = story.result();
    assert_eq!(result.outcome(), Outcome::Canceled, "{result:?}\n{}", story.text());
    assert!(result.error.starts_with("canceled by ada"), "{}", result.error);
    assert!(result.error.contains("may exist") && result.error.contains("second"), "{}", result.error);
    assert!(result.state.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_apply_hands_in_its_state_and_no_result() {
    if !terraform() {
        return;
    }
    let mut server = Server::start().await;
    let (_stop, _daemon) = server.daemon(EngineKind::Terraform);
    let mut peer = server.registered().await;
    let job = server.build("terraform", &[("main.tf", SLOW)], WorkspaceTransition::Start, None);
    let mut story = Story::default();
    peer.say(Say::Assign(job.clone())).await;
    peer.follow(&job, &mut story, |s| s.count("begun") > 0 && !s.checkpoints.is_empty()).await;
    let before = story.checkpoints.len();
    let (job_id, lease_id) = (job.job_id.clone(), job.lease_id.clone());
    peer.say(Say::LeaseLost(LeaseLost { job_id, lease_id, reason: "reaped".to_owned() })).await;
    let work = server.dir.path().join("work");
    peer.follow(&job, &mut story, |_| job_dirs(&work).is_empty()).await;
    assert!(story.result.is_none());
    assert!(story.checkpoints.len() > before, "the state after the interrupt is handed in");
    let state = story.checkpoints.last().unwrap().reference.clone().unwrap();
    let text = String::from_utf8(server.bytes(&state)).unwrap();
    assert!(text.contains("tainted"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_outlives_the_daemon() {
    if !terraform() {
        return;
    }
    let mut server = Server::start().await;
    let config = server.config(EngineKind::Terraform);
    let daemon = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    daemon.spawn(orgplane_daemon::run(config.clone(), orgplane_daemon::Stop::default()));
    let mut peer = server.registered().await;
    let job = server.build("terraform", &[("main.tf", TALKER)], WorkspaceTransition::Start, None);
    let mut story = Story::default();
    peer.say(Say::Assign(job.clone())).await;
    peer.follow(&job, &mut story, |s| s.count("line 103") > 0).await;
    daemon.shutdown_background();

    let work = config.work_dir.clone();
    let dir = job_dirs(&work).pop().unwrap();
    let steps = std::fs::read_dir(dir.join("steps")).unwrap().map(|e| e.unwrap().path());
    let apply = steps.into_iter().find(|p| p.to_string_lossy().ends_with("-apply")).unwrap();
    // A daemon that starts meanwhile leaves the running engine alone.
    let mut next = server.daemon_with(config.clone()).1;
    loop {
        tokio::select! {
            _ = server.peer() => break,
            ended = &mut next => {
                // The dead one's lock is freed when the last of its threads is gone.
                assert!(matches!(ended.unwrap(), Err(orgplane_daemon::Error::WorkDirLocked(_))));
                tokio::time::sleep(Duration::from_millis(20)).await;
                next = server.daemon_with(config.clone()).1;
            }
        }
    }
    eventually("the engine ends well", || {
        std::fs::read_to_string(apply.join("exit.json")).is_ok_and(|text| text.contains("\"code\":0"))
    })
    .await;
    let state = std::fs::read_to_string(dir.join("work/terraform.tfstate")).unwrap();
    assert!(state.contains("\"talk\""), "{state}");
}

/// Looks for what the other job holds: in environments and arguments of all processes, and where its files are.
const SPY: &str = r#"
resource "terraform_data" "spy" {
  provisioner "local-exec" {
    command = "echo I am $(id -u); cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline DIR/assign DIR/steps/*/step.json DIR/work/* 2>/dev/null | tr '\\0' '\\n' | grep -a 'ca[n]ary-of' | head -n 3; ls DIR WORK CACHE 2>&1 | head -n 3"
  }
}
"#;

/// Whether a job finds anything of another that runs at the same time, and what it says.
async fn spied(engine_users: &str) -> (bool, String) {
    use std::os::unix::fs::PermissionsExt as _;
    let mut server = Server::start().await;
    std::fs::set_permissions(server.dir.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    let mut config = server.config(EngineKind::Terraform);
    config.capacity = 2;
    if !engine_users.is_empty() {
        config.engine_users = orgplane_daemon::EngineUser::parse(engine_users).unwrap();
    }
    let (work, cache) = (config.work_dir.clone(), config.cache_dir.clone());
    let (_stop, _daemon) = server.daemon_with(config);
    let mut peer = server.registered().await;
    let held = format!("variable \"held\" {{\n  sensitive = true\n}}\n{SLOW}");
    let mut job = server.build("terraform", &[("main.tf", &held)], WorkspaceTransition::Start, None);
    let value = "canary-of-a-job".to_owned();
    job.variables = vec![VariableValue { name: "held".to_owned(), value, sensitive: true }];
    peer.say(Say::Assign(job.clone())).await;
    let mut story = Story::default();
    peer.follow(&job, &mut story, |s| s.count("begun") > 0).await;
    let dir = job_dirs(&work).pop().unwrap();
    let paths = [("DIR", &dir), ("WORK", &work), ("CACHE", &cache)];
    let spy = paths.iter().fold(SPY.to_owned(), |text, (name, path)| text.replace(name, path.to_str().unwrap()));
    let spy = server.build("terraform", &[("main.tf", &spy)], WorkspaceTransition::Start, None);
    let seen = peer.run(&spy).await;
    assert_eq!(seen.result().outcome(), Outcome::Succeeded, "{}", seen.text());
    let (job_id, lease_id) = (job.job_id.clone(), job.lease_id.clone());
    peer.say(Say::Cancel(Cancel { job_id, lease_id, reason: String::new(), grace: None })).await;
    let ended = |dir: &std::path::Path| {
        let steps = std::fs::read_dir(dir.join("steps")).into_iter().flatten().flatten();
        steps.into_iter().all(|step| step.path().join("exit.json").exists())
    };
    eventually("the other engine's end", || ended(&dir)).await;
    (seen.logs.iter().any(|line| line.output.contains("canary-of-a-job")), seen.text())
}

#[tokio::test(flavor = "multi_thread")]
async fn engine_users_find_nothing_of_each_other() {
    if !terraform() {
        return;
    }
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: only root can run engines as other users");
        return;
    }
    let (found, text) = spied("").await;
    assert!(found, "the same user finds it, or this test shows nothing\n{text}");
    let (found, text) = spied("3000000-3000001").await;
    assert!(!found, "{text}");
    assert!(text.contains("I am 300000") && text.contains("Permission denied"), "{text}");
}

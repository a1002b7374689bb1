//! Real Terraform, with its built-in provider only.

use std::process::Command;

use std::time::Duration;

use orgplane_daemon::EngineKind;
use orgplane_proto::provisioner::v1::result::Payload;
use orgplane_proto::provisioner::v1::server_message::Message as Say;
use orgplane_proto::provisioner::v1::{
    Cancel, JobErrorCode, LeaseLost, Outcome, Registered, ResumedJob, WorkspaceTransition,
};

use crate::fake::{Server, Story, eventually, job_dirs, terms};

const HELLO: &str = include_str!("../../../deploy/templates/hello/main.tf");
const README: &str = include_str!("../../../deploy/templates/hello/README.md");

/// Whether Terraform is here; a missing one is a failure where it is required.
pub(crate) fn terraform() -> bool {
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
async fn a_template_cant_send_its_state_elsewhere() {
    if !terraform() {
        return;
    }
    let mut server = Server::start().await;
    let (_stop, _daemon) = server.daemon(EngineKind::Terraform);
    let mut peer = server.registered().await;
    let elsewhere = server.dir.path().join("elsewhere.tfstate");
    let path = elsewhere.to_str().unwrap();
    let hcl = format!("terraform {{\n  backend \"local\" {{\n    path = \"{path}\"\n  }}\n}}\n");
    let backend = format!(r#"{{"backend": {{"local": {{"path": "{path}"}}}}}}"#);
    let cases = [
        ("z.x_override.tf", hcl, "leave the state"),
        ("zz_override.tf.json", format!(r#"[{{"terraform": {backend}}}]"#), "leave the state"),
        ("zz_override.tf.json", format!(r#"{{"terraform": {backend}, "terraform": {{}}}}"#), "is there twice"),
    ];
    for (name, text, word) in cases {
        let files = [("main.tf", "resource \"terraform_data\" \"x\" {}\n"), (name, text.as_str())];
        let story = peer.run(&server.build("terraform", &files, WorkspaceTransition::Start, None)).await;
        assert_eq!((story.result().outcome(), story.asked), (Outcome::Failed, None), "{text}\n{}", story.text());
        assert!(story.result().error.contains(word), "{}", story.result().error);
        assert!(!elsewhere.exists());
    }
}

/// A disk that is too small for the job.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(at: std::path::PathBuf) -> Option<Self> {
        std::fs::create_dir_all(&at).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs"]).arg(&at).output();
        mounted.is_ok_and(|o| o.status.success()).then_some(Self(at))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_a_full_disk_has_no_room_for_fails() {
    if !terraform() {
        return;
    }
    let mut server = Server::start().await;
    let config = server.config(EngineKind::Terraform);
    let Some(_disk) = SmallDisk::mount(config.work_dir.clone()) else {
        eprintln!("skipped: no file system can be mounted");
        return;
    };
    let (_stop, _daemon) = server.daemon_with(config);
    let mut peer = server.registered().await;
    // The archive fits, and what is in it doesn't any more; then neither does the archive.
    for size in [3 << 20, 8 << 20] {
        let large = "x".repeat(size);
        let story = peer.run(&server.import("terraform", &[("main.tf", ""), ("large", &large)])).await;
        assert_eq!(story.result().outcome(), Outcome::Failed, "{}", story.text());
        assert!(story.result().error.contains("--work-dir"), "{}", story.result().error);
    }
    assert_eq!(peer.run(&server.import("terraform", &[("main.tf", "")])).await.result().outcome(), Outcome::Succeeded);
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
pub(crate) const SLOW: &str = r#"
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

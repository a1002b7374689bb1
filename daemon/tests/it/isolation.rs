//! What jobs find of each other, run as users of their own.

use orgplane_daemon::EngineKind;
use orgplane_proto::provisioner::v1::server_message::Message as Say;
use orgplane_proto::provisioner::v1::{Cancel, Outcome, VariableValue, WorkspaceTransition};

use crate::fake::{Server, Story, eventually, job_dirs, refusal};
use crate::terraform::{SLOW, terraform};

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

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_directory_is_closed_to_the_next_job_of_its_user() {
    use std::os::unix::fs::PermissionsExt as _;
    if !terraform() {
        return;
    }
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: only root can run engines as other users");
        return;
    }
    let mut server = Server::start().await;
    std::fs::set_permissions(server.dir.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    let mut config = server.config(EngineKind::Terraform);
    config.engine_users = orgplane_daemon::EngineUser::parse("3000000").unwrap();
    let work = config.work_dir.clone();
    let (_stop, _daemon) = server.daemon_with(config);
    let mut peer = server.registered().await;
    server.refuse_uploads(Some(refusal(tonic::Code::FailedPrecondition, "the file store is full")));
    let held = "resource \"terraform_data\" \"held\" {\n  input = \"canary-of-a-job\"\n}\n";
    let story = peer.run(&server.build("terraform", &[("main.tf", held)], WorkspaceTransition::Start, None)).await;
    assert!(story.result().error.contains("the file store is full"), "{}", story.result().error);
    server.refuse_uploads(None);
    let dir = job_dirs(&work).pop().unwrap();
    let spy = SPY.replace("DIR", dir.to_str().unwrap()).replace("WORK CACHE", "");
    let story = peer.run(&server.build("terraform", &[("main.tf", &spy)], WorkspaceTransition::Start, None)).await;
    assert_eq!(story.result().outcome(), Outcome::Succeeded, "{}", story.text());
    assert!(story.count("I am 3000000") > 0 && story.count("canary-of-a-job") == 0, "{}", story.text());
    assert!(story.count("Permission denied") > 0, "{}", story.text());
}

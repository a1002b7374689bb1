//! How a daemon ends: told to, or by itself.

use nix::sys::signal::Signal;
use orgplane_tests::wait::SHORT;
use orgplane_tests::world::text;
use orgplane_tests::{Archive, Daemon, Deployment, LONG, Rest};
use serde_json::{Value, json};

struct Story {
    deployment: Deployment,
    owner: Rest,
    organization: String,
    key: String,
}

impl Story {
    async fn start() -> Self {
        let deployment = Deployment::start().await;
        let (owner, organization, key) = deployment.furnished().await;
        Self { deployment, owner, organization, key }
    }

    fn daemon(&self, name: &str, flags: &[&str]) -> Daemon {
        Daemon::start_with(&self.deployment, name, &self.key, "echo", flags)
    }

    /// Queues an import that takes so long; its path.
    async fn import(&self, milliseconds: u64) -> String {
        let script = json!({"import": {"logs": [{"output": "waited", "delay_ms": milliseconds}]}});
        let version = self.owner.import(&self.organization, Archive::echo(&script), "echo", json!({})).await;
        format!("/api/v2/templateversions/{}", text(&version, "id"))
    }

    async fn job(&self, path: &str) -> Value {
        self.owner.get(path).await.expect(200)["job"].clone()
    }
}

const HOURS: u64 = 36_000_000;

#[tokio::test]
async fn a_daemon_that_is_told_to_end_ends_its_jobs_and_takes_no_more() {
    let story = Story::start().await;
    let mut daemon = story.daemon("one", &["--capacity", "2"]);
    let path = story.import(2_000).await;
    story.owner.in_status(&path, "running").await;
    daemon.process().signal(Signal::SIGTERM);
    daemon.process().says("draining: running jobs end", SHORT).await;
    let next = story.import(0).await;
    assert_eq!(daemon.process().exit(SHORT).await.code(), Some(0));
    assert_eq!(story.job(&path).await["status"], "succeeded");
    assert_eq!(story.job(&next).await["status"], "pending");
}

#[tokio::test]
async fn what_doesnt_end_in_time_is_interrupted_and_goes_elsewhere() {
    let story = Story::start().await;
    for (name, flags, second) in
        [("limited", &["--drain-timeout", "1s"][..], false), ("told-again", &["--drain-timeout", "1h"][..], true)]
    {
        let mut daemon = story.daemon(name, flags);
        let path = story.import(HOURS).await;
        story.owner.in_status(&path, "running").await;
        daemon.process().signal(Signal::SIGTERM);
        daemon.process().says("draining: running jobs end", SHORT).await;
        if second {
            daemon.process().signal(Signal::SIGTERM);
        }
        assert_eq!(daemon.process().exit(SHORT).await.code(), Some(0), "{name}");
        assert_eq!(story.job(&path).await["status"], "pending", "{name}: it changed nothing");
        let _ = story.owner.patch(&format!("{path}/cancel"), json!({})).await.expect(200);
    }
}

#[tokio::test]
async fn what_was_permitted_and_is_interrupted_fails() {
    let story = Story::start().await;
    let mut daemon = story.daemon("one", &["--drain-timeout", "0s"]);
    let slow = json!({"start": {"apply": true, "after_permit": [{"output": "x", "delay_ms": HOURS}]}});
    let template = story.owner.template(&story.organization, "slow", Archive::echo(&slow), "echo").await;
    let workspace = story.owner.workspace("dev", &template).await;
    let build = text(&workspace["latest_build"], "id");
    story.owner.in_status(&format!("/api/v2/workspacebuilds/{build}"), "running").await;
    let jobs = daemon.folder().join("work/jobs");
    orgplane_tests::wait::eventually("the permit", SHORT, async || {
        let jobs = std::fs::read_dir(&jobs).ok()?;
        jobs.flatten().find(|job| job.path().join("permitted").exists()).map(drop)
    })
    .await;
    daemon.process().signal(Signal::SIGTERM);
    assert_eq!(daemon.process().exit(SHORT).await.code(), Some(0));
    let build = story.owner.built(&build, LONG).await;
    assert_eq!(build["job"]["status"], "failed", "{build}");
    assert!(text(&build["job"], "error").contains("the provisioner daemon was stopped"), "{build}");
}

#[tokio::test]
async fn a_daemon_for_one_job_ends_with_it() {
    let story = Story::start().await;
    let first = story.import(200).await;
    let second = story.import(200).await;
    let mut daemon = story.daemon("one", &["--run-once"]);
    assert_eq!(daemon.process().exit(LONG).await.code(), Some(0));
    assert_eq!(story.job(&first).await["status"], "succeeded");
    assert_eq!(story.job(&second).await["status"], "pending");
    let mut wrong = story.daemon("wrong", &["--run-once", "--capacity", "2"]);
    assert_eq!(wrong.process().exit(SHORT).await.code(), Some(2));
    assert!(wrong.process().stderr().contains("--run-once"), "{}", wrong.process().stderr());
}

#[tokio::test]
async fn an_idle_daemon_ends_but_not_while_it_has_a_job() {
    let story = Story::start().await;
    let path = story.import(3_000).await;
    let mut daemon = story.daemon("one", &["--idle-exit", "1s"]);
    assert_eq!(daemon.process().exit(LONG).await.code(), Some(0));
    assert_eq!(story.job(&path).await["status"], "succeeded");
}

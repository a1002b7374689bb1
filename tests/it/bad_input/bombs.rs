//! Templates of a few lines that would take all memory or all time: each ends its job with an error that says so, other
//! jobs go on beside it, and nothing of it stays.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use orgplane_tests::world::text;
use orgplane_tests::{Archive, Daemon, Databases, Deployment, LONG, SHORT, eventually, terraforms};
use serde_json::{Value, json};

use super::Watch;

const MEGABYTE: u64 = 1024 * 1024;

/// Each local twice the one before: 16 GiB in all.
fn of_memory() -> String {
    let mut text = "locals {\n  a0 = \"xxxxxxxxxxxxxxxx\"\n".to_owned();
    for level in 1..=30 {
        let before = level - 1;
        writeln!(text, "  a{level} = \"${{local.a{before}}}${{local.a{before}}}\"").unwrap();
    }
    text + "}\n\noutput \"size\" {\n  value = length(local.a30)\n}\n"
}

/// A thousand million rounds of nothing.
fn of_time() -> String {
    let inner = "length([for k in range(1000) : k])";
    let middle = format!("length([for j in range(1000) : {inner}])");
    format!(
        "locals {{\n  rounds = [for i in range(1000) : {middle}]\n}}\n\noutput \"rounds\" {{\n  value = local.rounds\n}}\n"
    )
}

/// The processes of a daemon's jobs, with what they occupy.
fn processes(folder: &Path) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(place) = fs::read_link(process.path().join("cwd")) else { continue };
        if place.starts_with(folder) {
            let status = fs::read_to_string(process.path().join("status")).unwrap_or_default();
            let line = |name| status.lines().find_map(|line: &str| line.strip_prefix(name)).unwrap_or_default().trim();
            let size = line("RssAnon:").trim_end_matches(" kB").parse::<u64>().unwrap_or_default();
            found.push((line("Name:").to_owned(), size * 1024));
        }
    }
    found
}

struct Story {
    deployment: Deployment,
    daemon: Daemon,
    watch: Watch,
    job: Value,
    most: u64,
    took: Duration,
}

/// Imports the bomb, and good templates for as long as that goes on.
async fn explode(program: &str, main: &str, server: (&str, &str), limit: &str) -> Story {
    let mut deployment = Deployment::on(Databases::Sqlite).flag(server.0, server.1).start().await;
    let owner = deployment.rest().first_user().await;
    let organization = owner.default_organization().await;
    let key = owner.key(&organization, "key", json!({})).await;
    let flags = ["--capacity", "2", "--terraform-path", program, "--engine-memory-limit", limit];
    let daemon = Daemon::start_with(&deployment, "one", &key, "terraform", &flags);
    let watch = Watch::begin(&mut deployment).await;
    let tar = Archive::default().file("main.tf", main.as_bytes()).finish();
    let begun = Instant::now();
    let bomb = text(&owner.import(&organization, tar, "terraform", json!({})).await, "id");
    let path = format!("/api/v2/templateversions/{bomb}");
    let most = std::cell::Cell::new(0);
    let folder = daemon.folder().to_owned();
    let ended = eventually("the end of the bomb", LONG, || {
        let occupied = processes(&folder).into_iter().map(|(_, bytes)| bytes).max().unwrap_or_default();
        most.set(occupied.max(most.get()));
        let (owner, path) = (owner.clone(), path.clone());
        async move {
            let job = owner.get(&path).await.expect(200)["job"].clone();
            ["failed", "succeeded", "canceled"].contains(&job["status"].as_str()?).then_some(job)
        }
    });
    let others = async {
        let version = owner.import(&organization, Archive::terraform("hello"), "terraform", json!({})).await;
        owner.imported(&text(&version, "id"), LONG).await
    };
    let (job, other) = tokio::join!(ended, others);
    assert_eq!(other["job"]["status"], "succeeded", "{other}");
    Story { deployment, daemon, watch, job, most: most.get(), took: begun.elapsed() }
}

impl Story {
    async fn end(mut self) {
        let folder = self.daemon.folder().to_owned();
        eventually("the end of its processes", SHORT, async || {
            processes(&folder).iter().all(|(_, bytes)| *bytes == 0).then_some(())
        })
        .await;
        assert!(self.daemon.process().is_running());
        assert!(!self.daemon.process().stderr().contains("panicked"), "{}", self.daemon.process().output());
        self.watch.end_with_rows(&mut self.deployment);
    }
}

#[tokio::test]
async fn a_bomb_of_memory() {
    for program in terraforms() {
        let story = explode(program, &of_memory(), ("--job-timeout", "100s"), "512MiB").await;
        let error = text(&story.job, "error");
        eprintln!("{program}: failed after {:?} with up to {} MiB: {error}", story.took, story.most / MEGABYTE);
        assert_eq!(story.job["status"], "failed", "{}", story.job);
        assert!(error.contains("memory") && error.contains("--engine-memory-limit"), "{error}");
        assert!(story.most < 600 * MEGABYTE, "it had {} MiB", story.most / MEGABYTE);
        story.end().await;
    }
}

#[tokio::test]
async fn a_bomb_of_time() {
    for program in terraforms() {
        let story = explode(program, &of_time(), ("--job-timeout", "6s"), "none").await;
        let error = text(&story.job, "error");
        eprintln!("{program}: failed after {:?} with up to {} MiB: {error}", story.took, story.most / MEGABYTE);
        assert_eq!(story.job["status"], "failed", "{}", story.job);
        assert!(error.contains("time limit of 6 seconds"), "{error}");
        story.end().await;
    }
}

//! A daemon that dies while its jobs run, and one that goes on in its place.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use orgplane_tests::daemon::daemon_command;
use orgplane_tests::wait::{SHORT, eventually};
use orgplane_tests::world::{outputs, text};
use orgplane_tests::{Archive, Daemon, Deployment, LONG, Rest, terraform};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Where a build is held while its daemon is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// Terraform is about to begin this command.
    Before(&'static str),
    /// The question for the permit is on its way.
    Asked,
    /// A resource is being created.
    Applying,
    /// It has ended, and the server doesn't know.
    Ended,
}

/// In Terraform's place: says which command it is at, and holds it for as long as it is told to.
const GATED: &str = r#"#!/bin/sh
: > "GATES/at-$1"
while [ -e "GATES/hold-$1" ]; do sleep 0.05; done
exec terraform "$@"
"#;

/// Three resources, the second of which takes as long as there is a file.
const TEMPLATE: &str = r#"
    resource "terraform_data" "first" { input = "kept" }
    resource "terraform_data" "second" {
      depends_on = [terraform_data.first]
      provisioner "local-exec" {
        command = "echo begins; : > GATES/at-resource; while [ -e GATES/hold-resource ]; do sleep 0.05; done; echo ends"
      }
    }
    resource "terraform_data" "third" {
      depends_on = [terraform_data.second]
      input = "last"
    }
"#;

struct Story {
    deployment: Deployment,
    owner: Rest,
    key: String,
    daemon: Daemon,
    template: Value,
    gates: TempDir,
}

impl Story {
    async fn start() -> Self {
        let deployment = Deployment::start().await;
        let (owner, organization, key) = deployment.furnished().await;
        let gates = tempfile::tempdir().unwrap();
        let place = gates.path().to_str().unwrap();
        write_program(&gates.path().join("terraform"), &GATED.replace("GATES", place));
        let folder = tempfile::tempdir().unwrap();
        let mut command = command(&deployment, folder.path(), &key, gates.path());
        let daemon = Daemon::run(folder, "one", &mut command);
        let main = TEMPLATE.replace("GATES", place);
        let tar = Archive::default().file("main.tf", main.as_bytes()).finish();
        let template = owner.template(&organization, "gated", tar, "terraform").await;
        Self { deployment, owner, key, daemon, template, gates }
    }

    fn hold(&self, gate: &str) {
        let _ = std::fs::remove_file(self.gates.path().join(format!("at-{gate}")));
        std::fs::write(self.gates.path().join(format!("hold-{gate}")), "").unwrap();
    }

    fn release(&self, gate: &str) {
        std::fs::remove_file(self.gates.path().join(format!("hold-{gate}"))).unwrap();
    }

    async fn at(&self, gate: &str) {
        let path = self.gates.path().join(format!("at-{gate}"));
        exists(&path).await;
    }

    /// The directory of the one job that the daemon has.
    fn job(&self) -> PathBuf {
        let jobs = std::fs::read_dir(self.daemon.folder().join("work/jobs")).unwrap();
        let newest = jobs
            .flatten()
            .filter(|job| job.path().join("assign").exists())
            .max_by_key(|job| job.metadata().and_then(|about| about.created()).unwrap());
        newest.expect("a job").path()
    }

    async fn start_again(&mut self) {
        let mut command = command(&self.deployment, self.daemon.folder(), &self.key, self.gates.path());
        self.daemon.start_again("one again", &mut command);
        self.daemon.process().says("job of an earlier daemon adopted", SHORT).await;
    }

    /// The end of a build whose daemon is killed at the moment; what holds it lets go before or after there is another.
    async fn killed_at(&mut self, name: &str, moment: Moment, late: bool) -> (Value, Value) {
        let gate = match moment {
            Moment::Before(command) => command,
            Moment::Asked => "show",
            Moment::Applying | Moment::Ended => "resource",
        };
        self.hold(gate);
        let workspace = self.owner.workspace(name, &self.template).await;
        self.at(gate).await;
        let server = self.deployment.process().pid();
        match moment {
            Moment::Before(_) | Moment::Applying => {}
            Moment::Asked => {
                kill(server, Signal::SIGSTOP).unwrap();
                self.release(gate);
                exists(&self.job().join("asked")).await;
            }
            Moment::Ended => {
                self.hold("show");
                self.release(gate);
                self.at("show").await;
                kill(server, Signal::SIGSTOP).unwrap();
                self.release("show");
                exists(&self.job().join("result")).await;
            }
        }
        let is_held = matches!(moment, Moment::Before(_) | Moment::Applying);
        self.daemon.kill().await;
        if is_held && !late {
            self.release(gate);
            if moment == Moment::Applying {
                let steps = self.job().join("steps");
                let apply = std::fs::read_dir(steps).unwrap().flatten().map(|step| step.path());
                let apply = apply.into_iter().find(|step| step.to_string_lossy().ends_with("-apply")).unwrap();
                exists(&apply.join("exit.json")).await;
            }
        }
        self.start_again().await;
        if is_held && late {
            self.release(gate);
        }
        if !is_held {
            kill(server, Signal::SIGCONT).unwrap();
        }
        let build = self.owner.built(&text(&workspace["latest_build"], "id"), LONG).await;
        (workspace, build)
    }

    async fn deleted(&self, workspace: &Value) {
        let deleted = self.owner.build(workspace, "delete").await;
        let deleted = self.owner.built(&text(&deleted, "id"), LONG).await;
        assert_eq!(deleted["status"], "deleted", "{deleted}");
        let path = format!("/api/v2/workspacebuilds/{}", text(&deleted, "id"));
        assert_eq!(self.state(&path).await["resources"], json!([]));
    }

    async fn state(&self, build: &str) -> Value {
        serde_json::from_slice(&self.owner.get(&format!("{build}/state")).await.bytes).unwrap()
    }
}

fn command(deployment: &Deployment, folder: &Path, key: &str, gates: &Path) -> Command {
    let mut command = daemon_command(deployment.url(), folder, "one", key, "terraform");
    command.arg("--terraform-path").arg(gates.join("terraform"));
    command
}

fn write_program(path: &Path, script: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, script).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

async fn exists(path: &Path) {
    eventually(&path.display().to_string(), LONG, async || path.exists().then_some(())).await;
}

/// What the lines are, without what differs from build to build: numbers, and which of an engine's two pipes was first.
fn lines(logs: &[Value]) -> Vec<(String, String)> {
    let of = |line: &Value| {
        let output: String = text(line, "output").chars().filter(|c| !c.is_ascii_digit()).collect();
        let output = output.split(" [id=").next().unwrap_or_default().to_owned();
        (text(line, "stage"), output)
    };
    let mut lines: Vec<_> = logs.iter().map(of).filter(|(_, output)| !output.contains("Still creating")).collect();
    lines.sort();
    lines
}

fn stages(logs: &[Value]) -> Vec<String> {
    let mut stages: Vec<_> = logs.iter().map(|line| text(line, "stage")).collect();
    stages.dedup();
    stages
}

fn addresses(state: &Value) -> BTreeSet<String> {
    state["resources"].as_array().unwrap().iter().map(|resource| text(resource, "name")).collect()
}

#[tokio::test]
async fn the_next_daemon_goes_on_where_one_was_killed() {
    if !terraform() {
        return;
    }
    let mut story = Story::start().await;
    let undisturbed = story.owner.workspace("undisturbed", &story.template).await;
    let build = story.owner.built(&text(&undisturbed["latest_build"], "id"), LONG).await;
    assert_eq!(build["status"], "running", "{build}");
    let expected = story.owner.logs(&format!("/api/v2/workspacebuilds/{}", text(&build, "id"))).await;
    for (name, moment, late) in [
        ("init", Moment::Before("init"), true),
        ("plan", Moment::Before("plan"), false),
        ("asked", Moment::Asked, false),
        ("apply", Moment::Before("apply"), true),
        ("applying", Moment::Applying, true),
        ("applied", Moment::Applying, false),
        ("ended", Moment::Ended, false),
    ] {
        let (workspace, build) = story.killed_at(name, moment, late).await;
        assert_eq!(build["job"]["status"], "succeeded", "{name}: {build}");
        let path = format!("/api/v2/workspacebuilds/{}", text(&build, "id"));
        let logs = story.owner.logs(&path).await;
        assert_eq!(lines(&logs), lines(&expected), "{name}: each line once");
        assert_eq!(stages(&logs), stages(&expected), "{name}: in order");
        let state = story.state(&path).await;
        assert_eq!(addresses(&state), ["first", "second", "third"].map(str::to_owned).into(), "{name}");
        story.deleted(&workspace).await;
    }
}

/// The processes that work for the daemon's jobs.
fn helpers(jobs: &Path) -> Vec<Pid> {
    let within = |pid: &i32| std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(jobs));
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(within).map(Pid::from_raw).collect()
}

#[tokio::test]
async fn what_died_while_it_applied_is_lost_and_named() {
    if !terraform() {
        return;
    }
    let mut story = Story::start().await;
    story.hold("resource");
    let workspace = story.owner.workspace("dev", &story.template).await;
    story.at("resource").await;
    let killed = helpers(&story.daemon.folder().join("work/jobs"));
    assert!(killed.len() >= 3, "shim, Terraform and its command: {killed:?}");
    story.daemon.kill().await;
    killed.iter().for_each(|pid| kill(*pid, Signal::SIGKILL).unwrap());
    story.release("resource");
    story.start_again().await;
    let build = story.owner.built(&text(&workspace["latest_build"], "id"), LONG).await;
    assert_eq!(build["job"]["status"], "failed", "{build}");
    let error = text(&build["job"], "error");
    assert!(error.contains("supervisor died"), "{error}");
    assert!(error.contains("may exist without being in the state: terraform_data.second"), "{error}");
    let path = format!("/api/v2/workspacebuilds/{}", text(&build, "id"));
    assert!(outputs(&story.owner.logs(&path).await).contains("begins"));
    assert!(addresses(&story.state(&path).await).contains("first"), "the newest state is stored");
    story.deleted(&workspace).await;
}

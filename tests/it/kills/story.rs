//! One cell of the table: a build is held at a step, the victim is killed, and what is left is looked at.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use orgplane_tests::daemon::daemon_command;
use orgplane_tests::gated::RESOURCES;
use orgplane_tests::wait::{SHORT, eventually};
use orgplane_tests::world::text;
use orgplane_tests::{Daemon, Databases, Deployment, Gates, LONG, Postgres, Proxy, Rest};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::said::{Said, addresses, is_telling, reported, said};
use super::{Ends, Step, Victim};

/// Each way through the link takes so long while a result is on its way, so that there is time to cut it.
const DELAY: Duration = Duration::from_millis(300);

/// A deployment, and a link to it that all daemons use. They have one after the other.
pub(super) struct Story {
    link: Proxy,
    deployment: Deployment,
    owner: Rest,
    key: String,
    template: Value,
    gates: Gates,
    undisturbed: &'static Said,
    // Its databases go before it.
    postgres: Option<Postgres>,
}

/// What is to be undone for a held build to go on.
struct Held {
    gate: &'static str,
    cache: Option<File>,
}

impl Story {
    /// `None` where there is no PostgreSQL to restart.
    pub(super) async fn start(database: Databases, victim: Victim) -> Option<Self> {
        // Only where nobody comes back is anything waited for.
        let (lease, apply_lost_after) = if victim == Victim::Host { ("3s", "5s") } else { ("15s", "30s") };
        let mut builder = Deployment::on(database).flag("--lease", lease).flag("--apply-lost-after", apply_lost_after);
        let mut postgres = None;
        if victim == Victim::Postgres {
            let server = Postgres::start()?;
            builder = builder.served_by(&server);
            postgres = Some(server);
        }
        let deployment = builder.unrecorded().start().await;
        let (owner, organization, key) = deployment.furnished().await;
        let link = Proxy::start(deployment.url()).await;
        let gates = Gates::open();
        let mut first = daemon(&link, &gates, &key, "first");
        let template = owner.template(&organization, "gated", gates.template(), "terraform").await;
        static UNDISTURBED: OnceCell<Said> = OnceCell::const_new();
        let undisturbed = UNDISTURBED.get_or_init(|| undisturbed(&owner, &template, &gates)).await;
        first.kill().await;
        Some(Self { link, deployment, owner, key, template, gates, undisturbed, postgres })
    }

    pub(super) async fn cell(&mut self, victim: Victim, step: Step, ends: Ends) {
        let cell = format!("{victim:?} at {step:?}");
        let start = Instant::now();
        let _named = Named(&cell);
        self.gates.forget();
        let name = format!("{victim:?}-{step:?}").to_lowercase();
        let mut daemon = daemon(&self.link, &self.gates, &self.key, &name);
        let cache = (step == Step::Assigned).then(|| locked(&daemon.folder().join("cache/plugins.lock")));
        let (workspace, held) = self.held_at(step, &name, &daemon, cache).await;
        let build = text(&workspace["latest_build"], "id");
        let path = format!("/api/v2/workspacebuilds/{build}");
        let (known, checkpoint) = (self.owner.logs(&path).await, self.state(&path).await);
        let job = job(&daemon);
        let other = self.kill(victim, step, &mut daemon, held, &name).await;

        let ended = self.owner.built(&build, LONG).await;
        let left = daemon.workers();
        assert!(left.is_empty(), "{cell}: {left:?} run on after the job's end");
        for gate in ["init", "plan", "show", "apply", "resource"] {
            self.gates.release(gate);
        }
        let logs = self.owner.logs(&path).await;
        let state = self.state(&path).await;
        self.judge(&cell, ends, &ended);
        assert_eq!(logs[..known.len()], known, "{cell}: stored lines stay");
        self.judge_lines(&cell, victim, step, ends, &logs);
        self.judge_state(&cell, victim, ends, &logs, state.as_ref(), checkpoint.as_ref());
        if ends == Ends::Succeeds && victim != Victim::Host {
            eventually(&format!("{cell}: the daemon to be done"), SHORT, async || (!job.exists()).then_some(())).await;
        }
        self.deleted(&cell, &workspace, &reported(&logs)).await;

        let again = self.owner.get(&path).await.expect(200);
        assert_eq!(again["job"], ended["job"], "{cell}: it ended once");
        assert_eq!(self.owner.logs(&path).await, logs, "{cell}: nothing was said after the end");
        // Quicker than what it does to end in order.
        for mut daemon in other.into_iter().chain([daemon]) {
            daemon.kill().await;
        }
        eprintln!("{cell}: as expected, {ends:?}, {:.1} s", start.elapsed().as_secs_f64());
    }

    /// A workspace whose build has come to the step, and goes no further.
    async fn held_at(&self, step: Step, name: &str, daemon: &Daemon, cache: Option<File>) -> (Value, Held) {
        let gate = match step {
            Step::Assigned | Step::Init => "init",
            Step::Plan => "plan",
            // The last command before the question.
            Step::Asked | Step::Granted => "show",
            Step::Permitted => "apply",
            Step::Applying | Step::Applied | Step::Stored => "resource",
        };
        self.gates.hold(gate);
        let workspace = self.owner.workspace(name, &self.template).await;
        let path = format!("/api/v2/workspacebuilds/{}", text(&workspace["latest_build"], "id"));
        if step == Step::Assigned {
            self.owner.in_status(&path, "running").await;
            eventually("the daemon to have it", SHORT, async || daemon.job()).await;
            return (workspace, Held { gate, cache });
        }
        self.gates.at(gate).await;
        match step {
            Step::Asked => {
                self.link.freeze();
                self.gates.release(gate);
                exists(&job(daemon).join("asked")).await;
            }
            Step::Granted => {
                self.link.delay(DELAY);
                self.gates.release(gate);
                let permits =
                    "SELECT count(*) FROM provisioner_job WHERE apply_permitted_at > 0 AND completed_at IS NULL";
                eventually("the permit", LONG, async || {
                    (self.deployment.database().number(permits).await == 1).then_some(())
                })
                .await;
                self.link.cut();
                assert!(!job(daemon).join("permitted").exists(), "the daemon has heard it, too early");
            }
            Step::Applying => self.checkpointed(&path).await,
            Step::Applied => {
                self.checkpointed(&path).await;
                self.link.freeze();
                self.gates.release(gate);
                ended(daemon, "apply").await;
            }
            Step::Stored => {
                // The last command of all, which was at its gate before.
                self.gates.hold("show");
                self.gates.release(gate);
                self.gates.at("show").await;
                self.link.delay(DELAY);
                self.gates.release("show");
                self.owner.in_status(&path, "succeeded").await;
                self.link.cut();
                assert!(job(daemon).join("result").exists(), "the daemon has heard it, too early");
            }
            Step::Assigned | Step::Init | Step::Plan | Step::Permitted => {}
        }
        (workspace, Held { gate, cache })
    }

    /// Waits until the first resource is in the stored state.
    async fn checkpointed(&self, path: &str) {
        eventually("the first checkpoint", SHORT, async || {
            self.state(path).await.filter(|state| addresses(state).contains("first")).map(drop)
        })
        .await;
    }

    /// Kills the victim and lets go on what is left. A daemon that the story has need of besides.
    async fn kill(
        &mut self,
        victim: Victim,
        step: Step,
        daemon: &mut Daemon,
        held: Held,
        name: &str,
    ) -> Option<Daemon> {
        match victim {
            Victim::Server => {
                self.deployment.kill().await;
                self.deployment.start_again().await;
            }
            Victim::Postgres => self.postgres.as_ref().expect("its own server").restart(),
            Victim::Daemon => {
                daemon.kill().await;
                self.heal();
                self.start_again(daemon, name).await;
                if step == Step::Init {
                    let cache = File::open(daemon.folder().join("cache/plugins.lock")).unwrap();
                    assert!(cache.try_lock().is_err(), "what fills the cache keeps others out of it");
                }
            }
            Victim::DaemonForLonger => {
                daemon.kill().await;
                self.gates.release(held.gate);
                let command = if held.gate == "resource" { "apply" } else { held.gate };
                ended(daemon, command).await;
                self.start_again(daemon, name).await;
            }
            // What they leave isn't let go before the build has ended.
            Victim::Terraform => return kill_worker(daemon, 1),
            Victim::Shim => return kill_worker(daemon, 0),
            Victim::Machine | Victim::Host => {
                daemon.kill().await;
                while let Some(worker) = daemon.workers().first() {
                    let _ = kill(*worker, Signal::SIGKILL);
                }
                self.gates.release(held.gate);
                if victim == Victim::Host {
                    self.heal();
                    return Some(self::daemon(&self.link, &self.gates, &self.key, &format!("{name}-other")));
                }
                self.start_again(daemon, name).await;
            }
        }
        self.gates.release(held.gate);
        self.heal();
        drop(held.cache);
        None
    }

    /// What was on its way is lost.
    fn heal(&self) {
        self.link.cut();
        self.link.heal();
    }

    async fn start_again(&self, daemon: &mut Daemon, name: &str) {
        let mut command = command(&self.link, daemon.folder(), name, &self.key, &self.gates);
        daemon.start_again(&format!("{name} again"), &mut command);
        daemon.process().says("job of an earlier daemon adopted", SHORT).await;
    }

    fn judge(&self, cell: &str, ends: Ends, build: &Value) {
        let job = &build["job"];
        if let Ends::Fails(parts) = ends {
            assert_eq!(job["status"], "failed", "{cell}: {build}");
            let error = text(job, "error");
            assert!(parts.iter().all(|part| error.contains(part)), "{cell}: {error}");
        } else {
            assert_eq!(job["status"], "succeeded", "{cell}: {build}");
        }
    }

    fn judge_lines(&self, cell: &str, victim: Victim, step: Step, ends: Ends, logs: &[Value]) {
        let said = said(logs, self.gates.place());
        match ends {
            Ends::Succeeds => assert_eq!(&said, self.undisturbed, "{cell}: each line once, in order"),
            Ends::Retried => {
                let telling: Vec<_> = logs.iter().filter(|line| is_telling(line)).cloned().collect();
                let last = &telling[telling.len() - self.undisturbed.0.len()..];
                let last = self::said(last, self.gates.place());
                assert_eq!(&last, self.undisturbed, "{cell}: each line of the last attempt");
            }
            Ends::Fails(_) => {
                let begun = logs.iter().filter(|line| text(line, "output").ends_with("(local-exec): begins")).count();
                let expected = usize::from(matches!(step, Step::Applying | Step::Applied));
                // The lines of a lost host end where they end.
                assert!(begun == expected || (victim == Victim::Host && begun < expected), "{cell}: {logs:?}");
            }
        }
    }

    fn judge_state(
        &self,
        cell: &str,
        victim: Victim,
        ends: Ends,
        logs: &[Value],
        state: Option<&Value>,
        checkpoint: Option<&Value>,
    ) {
        let (addresses, reported) = (state.map(addresses).unwrap_or_default(), reported(logs));
        let made = self.gates.made();
        if let Ends::Fails(_) = ends {
            assert!(reported.is_subset(&addresses), "{cell}: {reported:?} in {addresses:?}");
            let distinct: BTreeSet<_> = made.iter().collect();
            assert_eq!(distinct.len(), made.len(), "{cell}: made once");
        } else {
            assert_eq!(addresses, RESOURCES.map(str::to_owned).into(), "{cell}");
            assert_eq!(reported, addresses, "{cell}");
            assert_eq!(made, RESOURCES, "{cell}: made once");
        }
        if victim == Victim::Host && ends != Ends::Retried {
            assert_eq!(state, checkpoint, "{cell}: the newest checkpoint");
        }
    }

    async fn deleted(&self, cell: &str, workspace: &Value, reported: &BTreeSet<String>) {
        let deleted = self.owner.build(workspace, "delete").await;
        let deleted = self.owner.built(&text(&deleted, "id"), LONG).await;
        assert_eq!(deleted["status"], "deleted", "{cell}: {deleted}");
        let state = self.state(&format!("/api/v2/workspacebuilds/{}", text(&deleted, "id"))).await;
        assert_eq!(state.map_or(json!([]), |state| state["resources"].clone()), json!([]), "{cell}");
        let standing = self.gates.standing();
        assert!(standing.is_disjoint(reported), "{cell}: {standing:?} of {reported:?} weren't destroyed");
    }

    /// The stored state, if there is one.
    async fn state(&self, build: &str) -> Option<Value> {
        let answer = self.owner.get(&format!("{build}/state")).await;
        if answer.bytes.is_empty() { None } else { Some(serde_json::from_slice(&answer.bytes).unwrap()) }
    }
}

/// Says which cell it was when a fixture panics.
struct Named<'a>(&'a str);

impl Drop for Named<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("in the cell: {}", self.0);
        }
    }
}

fn kill_worker(daemon: &Daemon, place: usize) -> Option<Daemon> {
    kill(daemon.workers()[place], Signal::SIGKILL).unwrap();
    None
}

fn command(link: &Proxy, folder: &Path, name: &str, key: &str, gates: &Gates) -> std::process::Command {
    let mut command = daemon_command(&link.url(), folder, name, key, "terraform");
    command.arg("--terraform-path").arg(gates.program());
    command
}

fn daemon(link: &Proxy, gates: &Gates, key: &str, name: &str) -> Daemon {
    let folder = tempfile::Builder::new().prefix("orgplane-daemon-").tempdir().unwrap();
    let mut command = command(link, folder.path(), name, key, gates);
    Daemon::run(folder, name, &mut command)
}

fn job(daemon: &Daemon) -> PathBuf {
    daemon.job().expect("a job")
}

/// Keeps the daemon from its first engine command.
fn locked(path: &Path) -> File {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = File::create(path).unwrap();
    file.lock().unwrap();
    file
}

async fn exists(path: &Path) {
    eventually(&path.display().to_string(), LONG, async || path.exists().then_some(())).await;
}

/// Waits until an engine command of the daemon's job has ended.
async fn ended(daemon: &Daemon, command: &str) {
    let steps = std::fs::read_dir(job(daemon).join("steps")).unwrap().flatten().map(|step| step.path());
    let suffix = format!("-{command}");
    let step = steps.into_iter().find(|step| step.to_string_lossy().ends_with(&suffix)).expect("the command");
    exists(&step.join("exit.json")).await;
}

async fn undisturbed(owner: &Rest, template: &Value, gates: &Gates) -> Said {
    let workspace = owner.workspace("undisturbed", template).await;
    let build = text(&workspace["latest_build"], "id");
    let build = owner.built(&build, LONG).await;
    assert_eq!(build["status"], "running", "{build}");
    said(&owner.logs(&format!("/api/v2/workspacebuilds/{}", text(&build, "id"))).await, gates.place())
}

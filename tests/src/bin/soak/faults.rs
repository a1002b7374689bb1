//! What breaks: daemons and the server are killed and stopped, and come back.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use orgplane_tests::daemon::daemon_command;
use orgplane_tests::{Deployment, Process};
use rand::RngExt as _;
use rand::rngs::StdRng;
use tempfile::TempDir;
use tokio::time::sleep;

/// A daemon, which keeps its folder when it is killed.
struct Member {
    name: String,
    folder: TempDir,
    process: Option<Process>,
    /// When it is started again, or goes on.
    back: Option<Instant>,
}

/// The server and its daemons.
pub(crate) struct Fleet {
    deployment: Deployment,
    key: String,
    members: Vec<Member>,
    counts: BTreeMap<&'static str, usize>,
}

impl Fleet {
    pub(crate) fn start(deployment: Deployment, key: &str, daemons: usize) -> std::io::Result<Self> {
        let member = |number| {
            let folder = tempfile::Builder::new().prefix("orgplane-soak-").tempdir()?;
            Ok(Member { name: format!("daemon-{number}"), folder, process: None, back: Some(Instant::now()) })
        };
        let members = (0..daemons).map(member).collect::<std::io::Result<_>>()?;
        let mut fleet = Self { deployment, key: key.to_owned(), members, counts: BTreeMap::new() };
        fleet.bring_back(true);
        Ok(fleet)
    }

    pub(crate) fn count(&self) -> usize {
        self.counts.values().sum()
    }

    pub(crate) fn summary(&self) -> String {
        let counts: Vec<_> = self.counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
        counts.join(", ")
    }

    /// One fault, and a pause.
    pub(crate) async fn step(&mut self, dice: &mut StdRng) {
        let member = dice.random_range(0..self.members.len());
        let away = Duration::from_millis(dice.random_range(100..8000));
        let pause = Duration::from_millis(dice.random_range(500..4000));
        let what = match dice.random_range(0..10) {
            0..4 => self.kill(member, away).await,
            4..7 => self.halt(member, away),
            7 => self.kill_server(Signal::SIGKILL, away / 4).await,
            8 => self.kill_server(Signal::SIGTERM, away / 4).await,
            _ => self.halt_server(away / 2).await,
        };
        *self.counts.entry(what).or_default() += 1;
        let until = Instant::now() + pause;
        while Instant::now() < until {
            self.bring_back(false);
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn kill(&mut self, member: usize, away: Duration) -> &'static str {
        let member = &mut self.members[member];
        if let Some(mut process) = member.process.take() {
            process.signal(Signal::SIGKILL);
            process.exit(Duration::from_secs(10)).await;
            member.back = Some(Instant::now() + away);
        }
        "daemons killed"
    }

    fn halt(&mut self, member: usize, away: Duration) -> &'static str {
        let member = &mut self.members[member];
        if let Some(process) = &mut member.process {
            process.signal(Signal::SIGSTOP);
            member.back = Some(Instant::now() + away);
        }
        "daemons halted"
    }

    async fn kill_server(&mut self, signal: Signal, away: Duration) -> &'static str {
        self.deployment.process().signal(signal);
        self.deployment.process().exit(Duration::from_secs(60)).await;
        sleep(away).await;
        self.deployment.start_again().await;
        if signal == Signal::SIGKILL { "servers killed" } else { "servers ended" }
    }

    async fn halt_server(&mut self, away: Duration) -> &'static str {
        self.deployment.process().signal(Signal::SIGSTOP);
        sleep(away).await;
        self.deployment.process().signal(Signal::SIGCONT);
        "servers halted"
    }

    /// Those whose time has come, or all.
    fn bring_back(&mut self, all: bool) {
        let now = Instant::now();
        for member in &mut self.members {
            // One that ended by itself is an operator's to start again.
            let ended = member.process.as_mut().is_some_and(|process| !process.is_running());
            if ended {
                member.process = None;
                member.back.get_or_insert(now);
            }
            if !member.back.is_some_and(|back| all || back <= now) {
                continue;
            }
            member.back = None;
            match &mut member.process {
                Some(process) => process.signal(Signal::SIGCONT),
                None => {
                    let url = self.deployment.url();
                    let mut command = daemon_command(url, member.folder.path(), &member.name, &self.key, "echo");
                    command.args(["--capacity", "3"]);
                    member.process = Some(Process::start(&member.name, &mut command));
                }
            }
        }
    }

    /// From here on nothing breaks.
    pub(crate) async fn heal(&mut self) {
        self.bring_back(true);
        sleep(Duration::from_secs(1)).await;
        self.bring_back(true);
    }
}

//! Very many connections.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use orgplane_tests::wire::Wire;
use orgplane_tests::{Deployment, LONG, Process, Rest, SHORT, eventually};

use super::super::GROWTH;
use super::Stage;

const CONNECTIONS: usize = 3000;

#[tokio::test]
async fn thousands_that_never_write() {
    let mut stage = Stage::set(Deployment::start().await).await;
    let bystander = stage.bystander().await;
    let before = stage.deployment.process().sockets();
    let mut silent = Vec::new();
    for _ in 0..CONNECTIONS {
        silent.push(Wire::connect(&stage.url()).await);
    }
    let process = stage.deployment.process();
    eventually("all are taken", SHORT, async || (process.sockets() >= CONNECTIONS).then_some(())).await;
    let grown = stage.grown("silent connections");
    assert!(grown < GROWTH, "it grew by {grown} bytes");
    for wire in &mut silent {
        wire.closed("a silent connection", LONG).await;
    }
    bystander.end("silent connections").await;
    let process = stage.deployment.process();
    eventually("they are let go", SHORT, async || (process.sockets() <= before + 2).then_some(())).await;
    stage.end("silent connections").await;
}

/// A service manager's usual limit is a soft one.
#[tokio::test]
async fn the_soft_limit_of_open_files_does_not_count() {
    let mut deployment = Deployment::start().await;
    deployment.stop().await;
    let server = deployment.second_server();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -Sn 256 && exec \"$0\" \"$@\""]).arg(server.get_program()).args(server.get_args());
    command.envs(server.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.process_group(0);
    let mut process = Process::start("server", &mut command);
    let url = process.line(LONG, |line| line.strip_prefix("Orgplane is ready at ").map(|url| url.trim().to_owned()));
    let url = url.await;
    let mut silent = Vec::new();
    for _ in 0..1000 {
        silent.push(Wire::connect(&url).await);
    }
    let answer = tokio::time::timeout(SHORT / 2, Rest::new(&url).get("/readyz")).await.expect("an answer");
    assert_eq!(answer.status, 200);
    assert!(process.sockets() > 1000, "{} sockets", process.sockets());
    assert!(!process.stderr().contains("can't accept"), "{}", process.output());
}

//! `orgplane demo --exit`, as the README has it.

use std::time::Duration;

use orgplane_tests::{Cli, Process, cli, terraform};

#[tokio::test]
async fn the_demo_runs_terraform() {
    if !terraform() {
        return;
    }
    let ended = cli::run(Cli::new("").command(&["demo", "--exit"])).await;
    let printed = ended.ok();
    assert!(printed.contains("local-exec") || ended.stderr.contains("local-exec"), "{printed}\n{}", ended.stderr);
    assert!(printed.contains("\"succeeded\""), "the job as REST returns it: {printed}\n{}", ended.stderr);
    assert!(printed.contains("data-platform") || ended.stderr.contains("data-platform"), "{}", ended.stderr);
}

#[tokio::test]
async fn the_demo_runs_without_terraform_and_says_so() {
    let mut command = Cli::new("").command(&["demo", "--exit"]);
    let empty = tempfile::tempdir().unwrap();
    command.env("PATH", empty.path());
    let ended = cli::run(command).await;
    let all = format!("{}\n{}", ended.ok(), ended.stderr);
    assert!(all.contains("echo") && all.to_lowercase().contains("terraform"), "{all}");
    assert!(all.contains("\"succeeded\""), "{all}");
}

#[tokio::test]
async fn the_demo_stays_up_and_cleans_up() {
    let temporary = tempfile::tempdir().unwrap();
    let mut command = Cli::new("").command(&["demo", "--engine", "echo"]);
    command.env("TMPDIR", temporary.path());
    let mut demo = Process::start("demo", &mut command);
    let find_job = |line: &str| line.contains("\"succeeded\"").then_some(());
    demo.line(Duration::from_secs(120), find_job).await;
    assert!(demo.is_running(), "it stays up until Ctrl-C");
    demo.signal(nix::sys::signal::Signal::SIGINT);
    let status = demo.exit(Duration::from_secs(30)).await;
    assert_eq!(status.code(), Some(0), "{}", demo.output());
    let left: Vec<_> = std::fs::read_dir(temporary.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

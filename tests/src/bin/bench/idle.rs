//! R6: what an idle daemon costs the server in memory.

use std::time::Duration;

use anyhow::Context as _;
use tonic::transport::Channel;

use super::floor::{BareServer, BareStream};
use super::report::Row;
use super::session::Session;
use super::target::{Database, Target};

const DAEMONS: u32 = 1000;
/// Opened first and not counted: they fill caches and pools.
const WARM_UP: u32 = 100;

pub(crate) async fn run(database: &Database) -> anyhow::Result<Vec<Row>> {
    let target = Target::start(database).await?;
    let mut sessions = Vec::new();
    for number in 0..WARM_UP {
        sessions.push(Session::open(&target, &format!("warm-{number}"), 1).await?);
    }
    let before = resident(target.pid())?;
    for number in 0..DAEMONS {
        sessions.push(Session::open(&target, &format!("idle-{number}"), 1).await?);
    }
    let value = settled_growth(target.pid(), before).await? / f64::from(DAEMONS);
    drop(sessions);

    let server = BareServer::start().await?;
    let mut streams = Vec::new();
    for _ in 0..WARM_UP {
        streams.push(bare(&server).await?);
    }
    let before = resident(server.pid()?)?;
    for _ in 0..DAEMONS {
        streams.push(bare(&server).await?);
    }
    let floor = settled_growth(server.pid()?, before).await? / f64::from(DAEMONS);
    drop(streams);
    let what = format!("server memory for each of {DAEMONS} idle daemons");
    Ok(vec![Row { id: "R6", what, database: database.to_string(), value, floor, unit: "KiB" }])
}

async fn bare(server: &BareServer) -> anyhow::Result<BareStream> {
    let channel = Channel::from_shared(server.url.clone())?.tcp_nodelay(true).connect().await?;
    BareStream::open(channel).await
}

/// Growth in KiB once it has stopped changing.
async fn settled_growth(pid: u32, before: u64) -> anyhow::Result<f64> {
    let mut last = resident(pid)?;
    let mut timer = tokio::time::interval(Duration::from_millis(500));
    timer.tick().await;
    for _ in 0..10 {
        timer.tick().await;
        let now = resident(pid)?;
        if now.abs_diff(last) * 100 <= last {
            return Ok(now.saturating_sub(before) as f64);
        }
        last = now;
    }
    Ok(last.saturating_sub(before) as f64)
}

/// Resident memory of a process, in KiB.
fn resident(pid: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS in /proc")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}

//! R3: messages there and back on a daemon's session, one at a time, against the same on a bare stream. The session checks
//! its key and the lease, numbers and stores; the bare stream only answers.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use orgplane_proto::provisioner::v1::{Accepted, LogEntry, LogLevel, LogSource, Logs, daemon_message, server_message};
use tonic::transport::Channel;

use super::floor::{self, BareServer, BareStream};
use super::report::Row;
use super::session::Session;
use super::target::{Database, Target};

const ROUNDS: u32 = 7;
const ROUND: Duration = Duration::from_secs(1);

pub(crate) async fn run(database: &Database) -> anyhow::Result<Vec<Row>> {
    let target = Target::start(database).await?;
    let file = target.upload_empty_template().await?;
    let mut session = Session::open(&target, "bench", 1).await?;
    target.import(&file, "stream").await?;
    let assign = loop {
        if let server_message::Message::Assign(assign) = session.next().await? {
            break assign;
        }
    };
    let accepted = Accepted { job_id: assign.job_id.clone(), lease_id: assign.lease_id.clone() };
    session.send(daemon_message::Message::Accepted(accepted)).await?;

    let server = BareServer::start().await?;
    let channel = Channel::from_shared(server.url.clone())?.tcp_nodelay(true).connect().await?;
    let mut bare = BareStream::open(channel).await?;

    let (mut heartbeats, mut lines, mut floors) = (Vec::new(), Vec::new(), Vec::new());
    let mut number = assign.next_log_number;
    for _ in 0..ROUNDS {
        let (start, mut count) = (Instant::now(), 0);
        while start.elapsed() < ROUND {
            bare.ping().await?;
            count += 1;
        }
        floors.push(rate(count, start));

        let (start, mut count) = (Instant::now(), 0);
        while start.elapsed() < ROUND {
            session.send(floor::heartbeat().message.context("a heartbeat")?).await?;
            while !matches!(session.next().await?, server_message::Message::HeartbeatAck(_)) {}
            count += 1;
        }
        heartbeats.push(rate(count, start));

        let (start, mut count) = (Instant::now(), 0);
        while start.elapsed() < ROUND {
            let logs = Logs {
                job_id: assign.job_id.clone(),
                lease_id: assign.lease_id.clone(),
                first_number: number,
                entries: vec![line()],
                overflowed: false,
            };
            session.send(daemon_message::Message::Logs(logs)).await?;
            loop {
                match session.next().await? {
                    server_message::Message::Ack(ack) if ack.log_number >= number => break,
                    _ => {}
                }
            }
            number += 1;
            count += 1;
        }
        lines.push(rate(count, start));
    }
    let floor = median(floors);
    let row = |what: &str, value| Row {
        id: "R3",
        what: what.to_owned(),
        database: database.to_string(),
        value,
        floor,
        unit: "messages/s",
    };
    Ok(vec![
        row("heartbeat -> acknowledged, one at a time", median(heartbeats)),
        row("log line -> durable, one at a time", median(lines)),
    ])
}

fn line() -> LogEntry {
    LogEntry {
        time: None,
        source: LogSource::Provisioner.into(),
        level: LogLevel::Info.into(),
        stage: "bench".to_owned(),
        output: "x".repeat(20),
    }
}

fn rate(count: u32, start: Instant) -> f64 {
    f64::from(count) / start.elapsed().as_secs_f64()
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

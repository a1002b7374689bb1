//! R3: messages there and back on a daemon's session, against the same on a bare stream. The session checks the lease,
//! numbers and stores durably; the bare stream only answers.

use std::time::{Duration, Instant};

use anyhow::bail;
use orgplane_proto::provisioner::v1::{Accepted, LogEntry, LogLevel, LogSource, Logs, daemon_message, server_message};
use tonic::transport::Channel;

use super::floor::{BareServer, BareStream};
use super::report::Row;
use super::session::Session;
use super::target::{Database, Target};

const ROUNDS: u32 = 7;
const ROUND: Duration = Duration::from_secs(1);
/// Messages under way in the second measurement.
const WINDOW: u32 = 64;

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

    let mut log = Log { session, job_id: assign.job_id, lease_id: assign.lease_id, next: assign.next_log_number };
    let (mut single, mut single_floor, mut many, mut many_floor) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        single_floor.push(round(async || bare.pings(1).await).await?);
        single.push(round(async || log.lines(1).await).await?);
        many_floor.push(round(async || bare.pings(WINDOW).await).await?);
        many.push(round(async || log.lines(WINDOW).await).await?);
    }
    let row = |what: String, value, floor| Row {
        id: "R3",
        what,
        database: database.to_string(),
        value: median(value),
        floor: median(floor),
        unit: "messages/s",
    };
    Ok(vec![
        row("log line -> durable, one at a time".to_owned(), single, single_floor),
        row(format!("the same, {WINDOW} under way"), many, many_floor),
    ])
}

/// A job's log as its daemon sends it.
struct Log {
    session: Session,
    job_id: String,
    lease_id: String,
    next: i64,
}

impl Log {
    /// Sends lines, a message each, and waits until all are acknowledged; their number.
    async fn lines(&mut self, count: u32) -> anyhow::Result<u32> {
        for _ in 0..count {
            let logs = Logs {
                job_id: self.job_id.clone(),
                lease_id: self.lease_id.clone(),
                first_number: self.next,
                entries: vec![line()],
                overflowed: false,
            };
            self.next += 1;
            self.session.send(daemon_message::Message::Logs(logs)).await?;
        }
        loop {
            match self.session.next().await? {
                server_message::Message::Ack(ack) if ack.log_number + 1 == self.next => return Ok(count),
                server_message::Message::LeaseLost(_) => bail!("the server took the job away"),
                _ => {}
            }
        }
    }
}

/// Messages a second over one round.
async fn round(mut exchange: impl AsyncFnMut() -> anyhow::Result<u32>) -> anyhow::Result<f64> {
    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed() < ROUND {
        count += exchange().await?;
    }
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
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

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

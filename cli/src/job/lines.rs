//! A job's log lines, as they come.

use std::time::Duration;

use anyhow::{Context as _, Result};
use orgplane_proto::provisioner::v1::{ProvisionerJobLog, StreamJobLogsRequest};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Instant, sleep, timeout};
use tonic::{Code, Status};

use super::Job;
use crate::client::Client;

/// Between two attempts to reach a server.
const PAUSE: Duration = Duration::from_millis(500);
/// A server shows more often that it lives.
const SILENCE: Duration = Duration::from_secs(45);
/// So long a server may be away before a command gives up.
const PATIENCE: Duration = Duration::from_secs(60);
/// Of failures after which a call may well succeed.
const PASSING: [Code; 5] =
    [Code::Unavailable, Code::DeadlineExceeded, Code::Cancelled, Code::Unknown, Code::ResourceExhausted];
/// Lines that are read ahead of what is shown.
const AHEAD: usize = 256;

/// What comes of following a log.
#[derive(Debug)]
pub(crate) enum Event {
    /// The next line.
    Line(ProvisionerJobLog),
    /// The server is away for now.
    Away,
    /// The log can't be followed any more.
    Failed(anyhow::Error),
}

/// Follows a job's log until the job has ended and all lines are read; then the channel ends. Goes on when the connection
/// is lost for a while.
pub(crate) fn follow(client: &Client, job: &Job) -> Receiver<Event> {
    let (say, heard) = channel(AHEAD);
    let follower = Follower { client: client.clone(), job: job.clone(), last: 0, away: None, say };
    tokio::spawn(follower.run());
    heard
}

/// The lines that are there now.
pub(crate) async fn stored(client: &Client, job: &Job) -> Result<Vec<ProvisionerJobLog>> {
    let stream = client.provisioner_jobs().stream_job_logs(job.log_request()).await;
    let mut stream = stream.context("can't read the job's log")?.into_inner();
    let mut lines = Vec::new();
    while let Some(batch) = stream.message().await.context("can't read the job's log")? {
        lines.extend(batch.logs);
    }
    Ok(lines)
}

struct Follower {
    client: Client,
    job: Job,
    last: i64,
    /// Since when the server is away.
    away: Option<Instant>,
    say: Sender<Event>,
}

impl Follower {
    async fn run(mut self) {
        let say = self.say.clone();
        tokio::select! {
            // Nobody listens any more.
            () = say.closed() => {}
            () = self.read_all() => {}
        }
    }

    async fn read_all(&mut self) {
        loop {
            let before = self.last;
            let Err(error) = self.read_on().await else { return };
            let code = error.chain().find_map(|cause| cause.downcast_ref::<Status>()).map(Status::code);
            let passing = code.is_some_and(|code| PASSING.contains(&code));
            if !passing || self.away.is_some_and(|since| since.elapsed() > PATIENCE) {
                return self.tell(Event::Failed(error)).await;
            }
            // Who paused the output was cut off as too slow, but the server is there.
            let behind = code == Some(Code::ResourceExhausted) && self.last > before;
            if !behind && self.away.is_none() {
                self.away = Some(Instant::now());
                self.tell(Event::Away).await;
            }
            sleep(PAUSE).await;
        }
    }

    /// Reads what comes after the last line until the job has ended.
    async fn read_on(&mut self) -> Result<()> {
        const WHAT: &str = "can't read the job's log";
        let request = StreamJobLogsRequest { after: self.last, follow: true, ..self.job.log_request() };
        let mut stream = self.client.provisioner_jobs().stream_job_logs(request).await.context(WHAT)?.into_inner();
        loop {
            let batch = timeout(SILENCE, stream.message()).await;
            let batch = batch.unwrap_or_else(|_| Err(Status::unavailable("the server says nothing any more")));
            let Some(batch) = batch.context(WHAT)? else { return Ok(()) };
            self.away = None;
            for line in batch.logs {
                self.last = self.last.max(line.id);
                self.tell(Event::Line(line)).await;
            }
        }
    }

    async fn tell(&self, event: Event) {
        // Fails when nobody listens, which ends all of this.
        let _ = self.say.send(event).await;
    }
}

//! A job's log lines, as they come.

use std::time::Duration;

use anyhow::{Context as _, Result};
use orgplane_proto::provisioner::v1::{ProvisionerJobLog, StreamJobLogsRequest};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Instant, sleep};
use tonic::{Code, Status};

use super::{Job, has_ended};
use crate::client::Client;

const POLL: Duration = Duration::from_millis(250);
/// So long a server may be away before a command gives up.
const PATIENCE: Duration = Duration::from_secs(60);
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
    let follower = Follower { client: client.clone(), job: job.clone(), last: 0, say };
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
    say: Sender<Event>,
}

impl Follower {
    async fn run(mut self) {
        let mut away: Option<Instant> = None;
        // A closed channel: nobody listens any more.
        while !self.say.is_closed() {
            let pause = match self.read_on().await {
                Ok(true) => return,
                Ok(false) => {
                    away = None;
                    POLL
                }
                Err(error) if !is_passing(&error) || away.is_some_and(|since| since.elapsed() > PATIENCE) => {
                    let _ = self.say.send(Event::Failed(error)).await;
                    return;
                }
                Err(_) => {
                    if away.is_none() {
                        let _ = self.say.send(Event::Away).await;
                    }
                    away = away.or_else(|| Some(Instant::now()));
                    POLL * 2
                }
            };
            tokio::select! {
                () = self.say.closed() => return,
                () = sleep(pause) => {}
            }
        }
    }

    /// Reads what is there since the last line; whether that is all there will ever be.
    async fn read_on(&mut self) -> Result<bool> {
        // Asked before the log is read: what an ended job has said is all there.
        let ended = has_ended(&self.job.standing(&self.client).await?.job);
        let request = StreamJobLogsRequest { after: self.last, ..self.job.log_request() };
        let stream = self.client.provisioner_jobs().stream_job_logs(request).await;
        let mut stream = stream.context("can't read the job's log")?.into_inner();
        while let Some(batch) = stream.message().await.context("can't read the job's log")? {
            for line in batch.logs {
                self.last = self.last.max(line.id);
                if self.say.send(Event::Line(line)).await.is_err() {
                    return Ok(true);
                }
            }
        }
        Ok(ended)
    }
}

/// Whether a failed call may well succeed later.
fn is_passing(error: &anyhow::Error) -> bool {
    let status = error.chain().find_map(|cause| cause.downcast_ref::<Status>());
    status.is_some_and(|status| {
        matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown)
    })
}

//! Waiting for a job: shows its progress, cancels it on Ctrl-C, tells how it ended.

use std::pin::pin;
use std::time::Duration;

use anyhow::{Result, anyhow};
use orgplane_proto::provisioner::v1::{JobErrorCode, JobStatus, ProvisionerJob};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::progress::Progress;
use super::{Event, Job, follow};
use crate::client::Client;
use crate::error::{Interrupted, render};
use crate::interrupt::{self, Leaves};
use crate::printable::printable_line;

/// How often the spinner moves.
const FRAME: Duration = Duration::from_millis(100);
/// How often the server is asked where the job stands.
const ASK: Duration = Duration::from_secs(1);

/// How to wait.
pub(crate) struct Waiting {
    what: &'static str,
    later: String,
    verbose: bool,
    _leaves: Leaves,
}

impl Waiting {
    /// To be made before the job is queued: from then on Ctrl-C doesn't end the command without a word about the job.
    /// `what` is waited for, such as "the import", and `later` says how to look at it later.
    pub(crate) fn new(what: &'static str, later: String, verbose: bool) -> Self {
        let leaves = Leaves::behind(format!("{what} may go on; {later}"));
        Self { what, later, verbose, _leaves: leaves }
    }
}

/// A job that has ended, whether well or not.
pub(crate) struct Ended {
    pub(crate) job: ProvisionerJob,
    what: &'static str,
    interrupted: bool,
}

impl Ended {
    /// The job asks for template variables that nobody gave.
    pub(crate) fn wants_variables(&self) -> bool {
        self.job.error_code() == JobErrorCode::RequiredTemplateVariables
    }

    /// Its failure as an error.
    pub(crate) fn check(self) -> Result<ProvisionerJob> {
        let Self { job, what, interrupted } = self;
        match job.status() {
            JobStatus::Succeeded => Ok(job),
            JobStatus::Canceled if interrupted => Err(Interrupted::new(format!("{what} was canceled")).into()),
            JobStatus::Canceled => Err(anyhow!("start again: {what} was canceled by somebody")),
            _ => {
                let error = if job.error.is_empty() { "the job gives no reason" } else { job.error.as_str() };
                Err(anyhow!("{what} failed: {}", printable_line(error)))
            }
        }
    }
}

/// Shows a job's progress until it has ended. The first Ctrl-C cancels it, the second leaves it alone.
pub(crate) async fn to_the_end(client: &Client, job: &Job, waiting: Waiting) -> Result<Ended> {
    let Waiting { what, later, verbose, _leaves } = waiting;
    let mut progress = Progress::new(verbose);
    let mut interrupt = pin!(interrupt::pressed());
    interrupt.as_mut().enable();
    let mut interrupted = false;
    let mut events = follow(client, job);
    let mut frames = interval(FRAME);
    frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ask = interval(ASK);
    ask.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = interrupt.as_mut() => {
                // At once, so that a second one is not missed while the server is called.
                interrupt.set(interrupt::pressed());
                interrupt.as_mut().enable();
                if interrupted {
                    progress.say("");
                    return Err(Interrupted::new(format!("{what} goes on; {later}")).into());
                }
                interrupted = true;
                progress.say(&format!("Canceling {what}; Ctrl-C again leaves it alone."));
                if let Err(error) = job.cancel(client).await {
                    progress.say(&format!("It goes on: {}", render(&error)));
                }
            }
            event = events.recv() => match event {
                Some(Event::Line(line)) => progress.line(&line),
                Some(Event::Away) => progress.say("Lost contact with the server; the job goes on. Trying again…"),
                Some(Event::Failed(error)) => {
                    progress.say("");
                    return Err(error.context(format!("{what} goes on without you; {later}")));
                }
                None => break,
            },
            _ = ask.tick() => {
                // Whether the server is away is for the log to say.
                if let Ok(Ok(standing)) = timeout(ASK, job.standing(client)).await {
                    progress.standing(&standing);
                }
            }
            _ = frames.tick() => progress.tick(),
        }
    }
    let job = job.standing(client).await?.job;
    progress.end(&job);
    Ok(Ended { job, what, interrupted })
}

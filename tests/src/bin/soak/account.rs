//! What became of all that was asked for.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::ensure;
use orgplane_tests::Rest;
use orgplane_tests::world::text;
use serde_json::Value;
use tokio::time::sleep;

use crate::load::{Asked, LINES};

/// So long jobs may take to end when nothing breaks any more.
const PATIENCE: Duration = Duration::from_secs(300);

/// The result.
#[derive(Debug, Default)]
pub(crate) struct Account {
    jobs: usize,
    lines: usize,
    retried: usize,
    ends: BTreeMap<String, usize>,
    /// What is lost or there twice.
    pub(crate) faults: Vec<String>,
}

impl Account {
    pub(crate) fn summary(&self) -> String {
        let ends: Vec<_> = self.ends.iter().map(|(status, count)| format!("{count} {status}")).collect();
        let (jobs, ends, retried, lines) = (self.jobs, ends.join(", "), self.retried, self.lines);
        format!("{jobs} jobs: {ends}; {retried} tried again; {lines} lines; {} lost", self.faults.len())
    }
}

/// Waits for the end of all and looks at each.
pub(crate) async fn settle(owner: &Rest, organization: &str, asked: &[Asked]) -> anyhow::Result<Account> {
    let start = Instant::now();
    let waiting =
        format!("/api/v2/organizations/{organization}/provisionerjobs?status=pending,running,canceling&limit=50");
    loop {
        let left = owner.get(&waiting).await.expect(200).as_array().map_or(0, Vec::len);
        if left == 0 {
            break;
        }
        ensure!(start.elapsed() < PATIENCE, "{left} or more jobs haven't ended {PATIENCE:?} after the last fault");
        sleep(Duration::from_millis(500)).await;
    }
    let mut account = Account::default();
    for asked in asked {
        account.take(owner, asked).await;
    }
    Ok(account)
}

impl Account {
    async fn take(&mut self, owner: &Rest, asked: &Asked) {
        let answer = owner.get(&asked.path).await;
        if answer.status != 200 {
            return self.faults.push(format!("{}: was promised, and is answered {}", asked.path, answer.status));
        }
        let (job, log) = (&answer.body["job"], owner.logs(&asked.path).await);
        let status = text(job, "status");
        self.jobs += 1;
        self.lines += log.len();
        *self.ends.entry(status.clone()).or_default() += 1;
        let (runs, notes) = runs(&log);
        self.retried += usize::from(runs.len() > 1);
        let mut fault = |what: String| self.faults.push(format!("{}: {status}: {what}", asked.path));
        // What each attempt said is there from its first line on, without a gap and once.
        for run in &runs {
            if !run.iter().copied().eq(1..=run.len()) || run.len() > 2 * LINES {
                fault(format!("lines {run:?}"));
            }
        }
        if asked.builds && runs.iter().filter(|run| run.len() > LINES).count() > 1 {
            fault("changed things twice".to_owned());
        }
        match status.as_str() {
            "succeeded" => {
                if runs.last().is_none_or(|run| run.len() != 2 * LINES) {
                    fault(format!("its last attempt said {:?}", runs.last()));
                }
                if asked.builds {
                    let state = owner.get(&format!("{}/state", asked.path)).await;
                    if !state.text().contains("the state") {
                        fault(format!("its state is {:?}", state.text()));
                    }
                }
            }
            // Only a daemon that was lost fails one of these jobs, and its log says so; or one that came back so late that
            // it had to stop by itself, which it says.
            "failed" => {
                let error = job["error"].as_str().unwrap_or_default();
                let is_lost = error.contains("lost") && notes > 0;
                if !asked.builds || !(is_lost || error.contains("no contact with the server")) {
                    fault(format!("fails with {error:?}"));
                }
            }
            _ => fault("nobody wanted it to stop".to_owned()),
        }
    }
}

/// The numbers of each attempt's lines, and how many other lines there are.
fn runs(log: &[Value]) -> (Vec<Vec<usize>>, usize) {
    let (mut runs, mut notes) = (Vec::<Vec<usize>>::new(), 0);
    let mut apart = true;
    for line in log {
        let output = line["output"].as_str().unwrap_or_default();
        match output.strip_prefix("line ").and_then(|number| number.parse().ok()) {
            Some(number) => {
                // What a lost daemon hands in afterwards goes on with its lines behind the note that it was lost.
                let goes_on = runs.last().is_some_and(|run| number > 1 && run.len() + 1 == number);
                if std::mem::take(&mut apart) && !goes_on {
                    runs.push(Vec::new());
                }
                if let Some(run) = runs.last_mut() {
                    run.push(number);
                }
            }
            None => {
                notes += 1;
                apart = true;
            }
        }
    }
    (runs, notes)
}

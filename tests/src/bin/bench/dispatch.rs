//! R2: how long after it was asked for a job is in the hands of a daemon.
//!
//! Jobs are asked for at fixed times whatever the server does (open loop), so that a stall shows in every job behind it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use orgplane_proto::provisioner::v1::{
    Accepted, ImportResult, Outcome, Result as JobResult, daemon_message, result, server_message,
};

use super::floor;
use super::report::{Row, percentiles};
use super::session::Session;
use super::target::{Database, Target};

const JOBS: u32 = 500;
const PAUSE: Duration = Duration::from_millis(20);
/// Not counted: connections, caches and plans are made in them.
const WARM_UP: u32 = 50;

pub(crate) async fn run(database: &Database) -> anyhow::Result<Vec<Row>> {
    let target = Target::start(database).await?;
    let file = target.upload_empty_template().await?;
    let mut session = Session::open(&target, "bench", 1000).await?;
    let asked: Arc<Mutex<HashMap<String, Instant>>> = Arc::default();

    let asking = {
        let (target, asked) = (target.clone(), asked.clone());
        tokio::spawn(async move {
            let mut timer = tokio::time::interval(PAUSE);
            for number in 0..JOBS {
                timer.tick().await;
                let (target, file, asked) = (target.clone(), file.clone(), asked.clone());
                let name = format!("bench-{number}");
                tokio::spawn(async move {
                    asked.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), Instant::now());
                    if let Err(error) = target.import(&file, &name).await {
                        eprintln!("{name}: {error:#}");
                    }
                });
            }
        })
    };

    let mut samples = Vec::new();
    for count in 0..JOBS {
        let assign = loop {
            let message = tokio::time::timeout(Duration::from_secs(30), session.next()).await;
            if let server_message::Message::Assign(assign) = message.context("no job came for 30 s")?? {
                break assign;
            }
        };
        let name = &assign.metadata.as_ref().context("an assignment without metadata")?.template_version_name;
        let asked_at =
            asked.lock().unwrap_or_else(PoisonError::into_inner).remove(name).context("a job that nobody asked for")?;
        if count >= WARM_UP {
            samples.push(asked_at.elapsed());
        }
        let (job_id, lease_id) = (assign.job_id, assign.lease_id);
        let accepted = Accepted { job_id: job_id.clone(), lease_id: lease_id.clone() };
        session.send(daemon_message::Message::Accepted(accepted)).await?;
        let result = JobResult {
            job_id,
            lease_id,
            outcome: Outcome::Succeeded.into(),
            payload: Some(result::Payload::TemplateImport(ImportResult::default())),
            ..JobResult::default()
        };
        session.send(daemon_message::Message::Result(result)).await?;
    }
    asking.await?;

    let half_round_trip = floor::half_round_trip().await?;
    let floors = floor::commits(database, JOBS, PAUSE).await?.into_iter().map(|s| s + half_round_trip).collect();
    let ((p50, p99), (floor50, floor99)) = (percentiles(samples), percentiles(floors));
    let row = |what: &str, value, floor| Row {
        id: "R2",
        what: what.to_owned(),
        database: database.to_string(),
        value,
        floor,
        unit: "ms",
    };
    Ok(vec![row("job asked for -> in the daemon, p50", p50, floor50), row("the same, p99", p99, floor99)])
}

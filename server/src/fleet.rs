//! The gauges of the whole deployment, from the database: what waits, what runs, which daemons are there.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use tokio::time::{Instant, timeout};

use crate::domain::error::chain;
use crate::domain::tags::{OWNER, SCOPE, Tags};
use crate::service::Service;
use crate::store::fleet::{self, Count, Kind};

/// However often somebody asks, the database is asked no more often than this.
const FRESH: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(5);
/// Characters of a label with tags; what is longer isn't counted apart.
const LABEL: usize = 200;
/// Stands for all organizations and tags that aren't counted apart. No tag set looks like this.
const OTHER: &str = "other";

/// How many and for how long, by kind and the labels of organization and tags.
type Sums = BTreeMap<(Kind, String, String), (i64, Duration)>;

/// Counts of the deployment, a few seconds old at most.
#[derive(Debug, Clone)]
pub(crate) struct Fleet {
    service: Arc<Service>,
    asked: Arc<tokio::sync::Mutex<Option<Instant>>>,
    counts: Arc<Mutex<Option<Vec<Count>>>>,
}

impl Fleet {
    pub(crate) fn new(service: Arc<Service>) -> Self {
        Self { service, asked: Arc::default(), counts: Arc::default() }
    }

    /// Counts anew, unless somebody just did. What can't be counted isn't shown.
    pub(crate) async fn refresh(&self) {
        let mut asked = self.asked.lock().await;
        if asked.is_some_and(|asked| asked.elapsed() < FRESH) {
            return;
        }
        let counting = fleet::count(&self.service.store, self.service.provisioners.contact_lost_after);
        let counts = match timeout(PATIENCE, counting).await {
            Ok(Ok(counts)) => Some(counts),
            Ok(Err(error)) => {
                tracing::warn!(error = %chain(&error), "can't count jobs and daemons for metrics");
                None
            }
            Err(_) => {
                tracing::warn!("counting jobs and daemons for metrics takes too long");
                None
            }
        };
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner) = counts;
        *asked = Some(Instant::now());
    }

    fn sums(&self) -> Option<Sums> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sums = Sums::new();
        for Count { kind, of, count, age } in counts.as_ref()? {
            let apart = of.as_ref().and_then(|(organization, tags)| Some((organization.clone(), label(tags)?)));
            let (organization, tags) = apart.unwrap_or_else(|| (OTHER.to_owned(), OTHER.to_owned()));
            let sum = sums.entry((*kind, organization, tags)).or_default();
            *sum = (sum.0 + count, sum.1.max(*age));
        }
        Some(sums)
    }
}

/// Tags as operators write them; nothing for jobs and daemons of the organization that have none.
fn label(tags: &Tags) -> Option<String> {
    let shown = tags.as_map().iter().filter(|(name, value)| match name.as_str() {
        SCOPE => value.as_str() != "organization",
        OWNER => !value.is_empty(),
        _ => true,
    });
    let label = shown.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",");
    (label.chars().count() <= LABEL).then_some(label)
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    organization: String,
    tags: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InState {
    organization: String,
    tags: String,
    state: &'static str,
}

impl Collector for Fleet {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let (size, idle) = self.service.store.connections();
        let sessions = i64::try_from(self.service.dispatcher.sessions()).unwrap_or(i64::MAX);
        let sums = self.sums();
        for (name, help, value) in [
            ("sessions", "Daemons connected to this server", sessions),
            ("database_connections", "Connections to the database", i64::from(size)),
            ("database_connections_idle", "Connections to the database that nobody uses", i64::from(idle)),
            ("database_up", "Whether the last count of jobs and daemons succeeded", i64::from(sums.is_some())),
        ] {
            ConstGauge::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        let sums = sums.unwrap_or_default();
        let of = |organization: &String, tags: &String| Of { organization: organization.clone(), tags: tags.clone() };
        for (kind, name, help) in [
            (Kind::PendingJobs, "jobs_pending", "Jobs that wait for a daemon"),
            (Kind::RunningJobs, "jobs_running", "Jobs that daemons have"),
        ] {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for ((_, organization, tags), (count, _)) in sums.iter().filter(|((of, ..), _)| *of == kind) {
                ConstGauge::new(*count).encode(family.encode_family(&of(organization, tags))?)?;
            }
        }
        let help = "How long the oldest pending job has waited";
        let mut family =
            encoder.encode_descriptor("jobs_pending_age", help, Some(&Unit::Seconds), MetricType::Gauge)?;
        for ((_, organization, tags), (_, age)) in sums.iter().filter(|((of, ..), _)| *of == Kind::PendingJobs) {
            ConstGauge::new(age.as_secs_f64()).encode(family.encode_family(&of(organization, tags))?)?;
        }
        let help = "Daemons that ever connected, by what they do now";
        let mut family = encoder.encode_descriptor("daemons", help, None, MetricType::Gauge)?;
        for ((kind, organization, tags), (count, _)) in &sums {
            let state = match kind {
                Kind::OfflineDaemons => "offline",
                Kind::IdleDaemons => "idle",
                Kind::BusyDaemons => "busy",
                Kind::PendingJobs | Kind::RunningJobs => continue,
            };
            let labels = InState { organization: organization.clone(), tags: tags.clone(), state };
            ConstGauge::new(*count).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

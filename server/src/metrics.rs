//! What the server counts, for operators. Names, units and labels are listed in `docs/operating.md`.
//!
//! No label takes a value from a client as it comes: methods are those of the services, and what organizations and tags
//! there are is bounded by [`crate::store::fleet`].

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Seconds, from what a cached read takes to what a caller gives up on.
const LATENCIES: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    method: &'static str,
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Lapse {
    outcome: &'static str,
}

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// The server's own counts; clones count together.
#[derive(Debug, Clone)]
pub struct Metrics {
    calls: Histograms<Call>,
    lapses: Family<Lapse, Counter>,
    log_bytes: Counter,
    database_wait: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        let latencies: fn() -> Histogram = || Histogram::new(LATENCIES);
        let lapses = Family::default();
        for outcome in ["requeued", "failed", "canceled"] {
            drop(lapses.get_or_create(&Lapse { outcome }));
        }
        Self {
            calls: Family::new_with_constructor(latencies),
            lapses,
            log_bytes: Counter::default(),
            database_wait: latencies(),
        }
    }
}

impl Metrics {
    /// Adds them to what is shown.
    pub fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "grpc_request_duration",
            "Time to the head of the answer of a gRPC call, by method and code",
            Unit::Seconds,
            self.calls.clone(),
        );
        registry.register(
            "job_leases_lapsed",
            "Jobs whose daemon wasn't heard of for too long, by what became of them",
            self.lapses.clone(),
        );
        registry.register_with_unit("job_log", "Log output that daemons sent", Unit::Bytes, self.log_bytes.clone());
        registry.register_with_unit(
            "database_wait",
            "Time to the beginning of a transaction that may write",
            Unit::Seconds,
            self.database_wait.clone(),
        );
    }

    /// A call was answered, with the code of this name.
    pub(crate) fn call(&self, path: &str, code: &'static str, took: Duration) {
        let labels = Call { method: method(path), code };
        self.calls.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// A job was taken from a daemon.
    pub(crate) fn lapse(&self, status: crate::domain::job::Status) {
        use crate::domain::job::Status;
        let outcome = match status {
            Status::Pending => "requeued",
            Status::Canceled => "canceled",
            Status::Running | Status::Succeeded | Status::Canceling | Status::Failed => "failed",
        };
        self.lapses.get_or_create(&Lapse { outcome }).inc();
    }

    /// So much log was taken.
    pub(crate) fn log(&self, bytes: u64) {
        self.log_bytes.inc_by(bytes);
    }

    /// A transaction began after so long.
    pub(crate) fn began(&self, waited: Duration) {
        self.database_wait.observe(waited.as_secs_f64());
    }
}

/// A method's path, if it is one of ours: anybody can ask for any other.
fn method(path: &str) -> &'static str {
    let path = path.trim_start_matches('/');
    orgplane_proto::METHODS.iter().copied().find(|known| known.trim_start_matches('/') == path).unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_methods_are_named() {
        let ours = "/orgplane.identity.v1.SessionService/Login";
        assert_eq!(method(ours), ours);
        assert_eq!(method("/orgplane.identity.v1.SessionService/Drop"), "other");
    }
}

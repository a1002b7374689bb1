//! What a daemon shows of itself: whether it can take jobs, and what it did. Listed in `docs/operating.md`.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Assignment {
    answer: &'static str,
}

/// A daemon's own counts; clones are of the same daemon.
#[derive(Debug, Clone)]
pub struct Vitals {
    connected: Gauge,
    sessions: Counter,
    capacity: Gauge,
    running: Gauge,
    assigned: Family<Assignment, Counter>,
    done: Counter,
    lost: Counter,
    engine_up: Gauge,
}

impl Default for Vitals {
    fn default() -> Self {
        let assigned = Family::default();
        for answer in ["accepted", "refused"] {
            drop(assigned.get_or_create(&Assignment { answer }));
        }
        Self {
            connected: Gauge::default(),
            sessions: Counter::default(),
            capacity: Gauge::default(),
            running: Gauge::default(),
            assigned,
            done: Counter::default(),
            lost: Counter::default(),
            engine_up: Gauge::default(),
        }
    }
}

impl Vitals {
    /// Adds them to what is shown.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "connected",
            "Whether the server registered this daemon and the stream is open",
            self.connected.clone(),
        );
        registry.register("sessions", "How often the server registered this daemon", self.sessions.clone());
        registry.register("capacity", "Jobs at a time", self.capacity.clone());
        registry.register("jobs_running", "Jobs that run now", self.running.clone());
        registry.register("jobs_assigned", "Jobs that the server assigned, by the answer", self.assigned.clone());
        registry.register("jobs_done", "Jobs whose results the server stored", self.done.clone());
        registry.register("jobs_lost", "Jobs that the server took back", self.lost.clone());
        registry.register("engine_up", "Whether the engine answers", self.engine_up.clone());
    }

    /// Whether jobs can come and be run.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.connected.get() == 1 && self.engine_up.get() == 1
    }

    pub(crate) fn starts(&self, capacity: u32) {
        self.capacity.set(i64::from(capacity));
        self.engine_up.set(1);
    }

    pub(crate) fn registered(&self) {
        self.sessions.inc();
        self.connected.set(1);
    }

    pub(crate) fn disconnected(&self) {
        self.connected.set(0);
    }

    pub(crate) fn engine(&self, up: bool) {
        self.engine_up.set(i64::from(up));
    }

    pub(crate) fn running(&self, jobs: u32) {
        self.running.set(i64::from(jobs));
    }

    pub(crate) fn assigned(&self, accepted: bool) {
        let answer = if accepted { "accepted" } else { "refused" };
        self.assigned.get_or_create(&Assignment { answer }).inc();
    }

    pub(crate) fn done(&self) {
        self.done.inc();
    }

    pub(crate) fn lost(&self) {
        self.lost.inc();
    }
}

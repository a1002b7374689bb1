//! How long REST calls take, by route: never by path, of which clients can make up any number.

use std::time::Duration;

use http::{Method, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Seconds.
const LATENCIES: [f64; 10] = [0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    method: &'static str,
    route: String,
    code: u16,
}

/// What the gateway counts; clones count together.
#[derive(Debug, Clone)]
pub struct Metrics {
    requests: Family<Request, Histogram, fn() -> Histogram>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { requests: Family::new_with_constructor(|| Histogram::new(LATENCIES)) }
    }
}

impl Metrics {
    /// Adds them to what is shown.
    pub fn register(&self, registry: &mut Registry) {
        let help = "Time to the head of the answer of a REST call, by route and status";
        registry.register_with_unit("http_request_duration", help, Unit::Seconds, self.requests.clone());
    }

    /// A request was answered; without a route there is nothing at its path.
    pub(crate) fn request(&self, method: &Method, route: Option<&str>, status: StatusCode, took: Duration) {
        let method = match method.as_str() {
            "GET" => "GET",
            "HEAD" => "HEAD",
            "POST" => "POST",
            "PUT" => "PUT",
            "PATCH" => "PATCH",
            "DELETE" => "DELETE",
            "OPTIONS" => "OPTIONS",
            _ => "other",
        };
        let labels = Request { method, route: route.unwrap_or("other").to_owned(), code: status.as_u16() };
        self.requests.get_or_create(&labels).observe(took.as_secs_f64());
    }
}

//! What was measured, as a table or as JSON.

use serde_json::json;

/// One figure beside its floor.
#[derive(Debug)]
pub(crate) struct Row {
    /// The metric's id, such as `R2`.
    pub(crate) id: &'static str,
    /// What was measured.
    pub(crate) what: String,
    /// On which database.
    pub(crate) database: String,
    /// The figure.
    pub(crate) value: f64,
    /// The same of the bare parts.
    pub(crate) floor: f64,
    /// What both are counted in.
    pub(crate) unit: &'static str,
}

#[derive(Debug)]
pub(crate) struct Report {
    rows: Vec<Row>,
    load_before: String,
}

impl Report {
    pub(crate) fn start() -> Self {
        Self { rows: Vec::new(), load_before: load() }
    }

    pub(crate) fn add(&mut self, rows: Vec<Row>) {
        self.rows.extend(rows);
    }

    pub(crate) fn print(&self, as_json: bool) {
        let (before, after) = (&self.load_before, load());
        if as_json {
            let rows: Vec<_> = self
                .rows
                .iter()
                .map(|r| {
                    json!({"id": r.id, "what": r.what, "database": r.database, "value": r.value, "floor": r.floor,
                           "unit": r.unit, "ratio": r.value / r.floor})
                })
                .collect();
            println!("{}", json!({"rows": rows, "load_before": before, "load_after": after}));
            return;
        }
        println!("{:<4} {:<46} {:<9} {:>12} {:>12} {:>7}  unit", "id", "what", "database", "value", "floor", "ratio");
        for r in &self.rows {
            println!(
                "{:<4} {:<46} {:<9} {:>12.2} {:>12.2} {:>7.2}  {}",
                r.id,
                r.what,
                r.database,
                r.value,
                r.floor,
                r.value / r.floor,
                r.unit
            );
        }
        println!("load average before {before}, after {after}");
    }
}

fn load() -> String {
    std::fs::read_to_string("/proc/loadavg")
        .map(|text| text.split_whitespace().take(3).collect::<Vec<_>>().join(" "))
        .unwrap_or_default()
}

/// The median and the 99th percentile, in milliseconds.
pub(crate) fn percentiles(mut samples: Vec<std::time::Duration>) -> (f64, f64) {
    samples.sort_unstable();
    let at = |share: usize| samples.get(samples.len().saturating_sub(1) * share / 100).copied().unwrap_or_default();
    (at(50).as_secs_f64() * 1e3, at(99).as_secs_f64() * 1e3)
}

//! What a build's log and state tell.

use std::collections::BTreeSet;
use std::path::Path;

use orgplane_tests::world::text;
use serde_json::Value;

/// The lines of a log, sorted, and its stages.
pub(super) type Said = (Vec<(String, String)>, Vec<String>);

/// Lines that aren't said of time that passes.
pub(super) fn is_telling(line: &Value) -> bool {
    !text(line, "output").contains("Still creating")
}

/// What lines say, without what differs from build to build: numbers, places, and which of an engine's two pipes was first.
pub(super) fn said(logs: &[Value], gates: &Path) -> Said {
    let place = gates.to_str().unwrap();
    let of = |line: &Value| {
        let output = text(line, "output").replace(place, "GATES");
        let output: String = output.chars().filter(|c| !c.is_ascii_digit()).collect();
        (text(line, "stage"), output.split(" [id=").next().unwrap_or_default().to_owned())
    };
    let mut lines: Vec<_> = logs.iter().filter(|line| is_telling(line)).map(of).collect();
    lines.sort();
    let mut stages: Vec<_> = logs.iter().map(|line| text(line, "stage")).collect();
    stages.dedup();
    (lines, stages)
}

/// The resources whose creation the log says is complete.
pub(super) fn reported(logs: &[Value]) -> BTreeSet<String> {
    let of = |line: &Value| {
        let output = text(line, "output");
        let (address, said) = output.split_once(": ")?;
        said.starts_with("Creation complete").then(|| address.trim_start_matches("terraform_data.").to_owned())
    };
    logs.iter().filter_map(of).collect()
}

/// The names of the resources in a state.
pub(super) fn addresses(state: &Value) -> BTreeSet<String> {
    state["resources"].as_array().unwrap().iter().map(|resource| text(resource, "name")).collect()
}

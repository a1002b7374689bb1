//! Terraform's graph: what depends on what.

use std::collections::{BTreeMap, BTreeSet};

/// Edges by the addresses at both ends, without indices.
#[derive(Debug, Default)]
pub(crate) struct Graph(BTreeMap<String, BTreeSet<String>>);

impl Graph {
    /// Reads what `graph -type=plan` prints.
    pub(crate) fn parse(dot: &str) -> Self {
        let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (from, to) in dot.lines().filter_map(|line| line.split_once(" -> ")) {
            if let (Some(from), Some(to)) = (label(from), label(to))
                && from != to
            {
                edges.entry(from).or_default().insert(to);
            }
        }
        Self(edges)
    }

    /// The nearest of the wanted addresses that this one depends on; of those that are equally near, the first by name.
    pub(crate) fn nearest<'a>(&'a self, from: &'a str, wanted: impl Fn(&str) -> bool) -> Option<&'a str> {
        let mut seen = BTreeSet::from([from]);
        let mut level = BTreeSet::from([from]);
        while !level.is_empty() {
            let next = level.iter().filter_map(|node| self.0.get(*node)).flatten().map(String::as_str);
            level = next.filter(|node| !seen.contains(node)).collect();
            if let Some(found) = level.iter().find(|node| wanted(node)) {
                return Some(found);
            }
            seen.extend(&level);
        }
        None
    }
}

/// The address in `"[root] module.m.a.b (expand)"`.
fn label(node: &str) -> Option<String> {
    let node = node.trim().trim_end_matches(';').strip_prefix('"')?;
    let node = node.rsplit_once('"').map_or(node, |(inside, _)| inside);
    let node = node.strip_prefix("[root] ").unwrap_or(node);
    // Quotes in instance keys are escaped; what has such a key isn't anything that a template names.
    Some(node.split_once(" (").map_or(node, |(address, _)| address).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOT: &str = r#"digraph {
	compound = "true"
	newrank = "true"
	subgraph "root" {
		"[root] a.x (expand)" [label = "a.x", shape = "box"]
		"[root] coder_metadata.m (expand)" -> "[root] local.indirect (expand)"
		"[root] local.indirect (expand)" -> "[root] module.m.output.id (expand)"
		"[root] module.m.output.id (expand)" -> "[root] module.m.b.z (expand)"
		"[root] module.m.output.id (expand)" -> "[root] module.m.b.y (expand)"
		"[root] module.m.b.y (expand)" -> "[root] a.x (expand)"
		"[root] root" -> "[root] provider[\"terraform.io/builtin/terraform\"] (close)"
	}
}"#;

    #[test]
    fn the_nearest_is_found_through_what_is_between() {
        let graph = Graph::parse(DOT);
        let wanted = |node: &str| matches!(node, "a.x" | "module.m.b.y" | "module.m.b.z");
        assert_eq!(graph.nearest("coder_metadata.m", wanted), Some("module.m.b.y"));
        assert_eq!(graph.nearest("coder_metadata.m", |node| node == "a.x"), Some("a.x"));
        assert_eq!(graph.nearest("a.x", wanted), None);
        assert_eq!(graph.nearest("nothing", wanted), None);
    }
}

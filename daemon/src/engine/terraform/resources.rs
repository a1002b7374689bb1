//! Resources, costs and modules from Terraform's own JSON.

use std::collections::BTreeMap;
use std::path::Path;

use orgplane_proto::provisioner::v1::{Module, Resource, ResourceMetadata};
use serde::Deserialize;

use super::graph::Graph;
use crate::foreign;

/// Types that describe a workspace rather than being a part of it.
const DESCRIPTIONS: [&str; 5] = ["coder_agent", "coder_agent_instance", "coder_app", "coder_script", "coder_metadata"];
const MAX_MODULES_FILE: u64 = 4 * 1024 * 1024;

/// `terraform show -json`, of a plan or of a state.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Show {
    #[serde(default)]
    values: Option<Values>,
    #[serde(default)]
    planned_values: Option<Values>,
}

#[derive(Debug, Default, Deserialize)]
struct Values {
    #[serde(default)]
    root_module: ShownModule,
}

#[derive(Debug, Default, Deserialize)]
struct ShownModule {
    #[serde(default)]
    address: String,
    #[serde(default)]
    resources: Vec<ShownResource>,
    #[serde(default)]
    child_modules: Vec<ShownModule>,
}

#[derive(Debug, Deserialize)]
struct ShownResource {
    address: String,
    #[serde(default)]
    mode: String,
    r#type: String,
    name: String,
    #[serde(default)]
    values: serde_json::Value,
}

impl ShownResource {
    fn is_description(&self) -> bool {
        self.mode == "managed" && self.r#type == "coder_metadata"
    }
}

impl Show {
    fn root(&self) -> Option<&ShownModule> {
        self.planned_values.as_ref().or(self.values.as_ref()).map(|v| &v.root_module)
    }

    /// The managed resources by address; the instances of one resource are one.
    pub(crate) fn resources(&self) -> Vec<Resource> {
        let mut found = BTreeMap::new();
        self.each(|module, resource| {
            if resource.mode == "managed" && !DESCRIPTIONS.contains(&resource.r#type.as_str()) {
                let address = without_indices(&resource.address);
                found.entry(address.clone()).or_insert_with(|| Resource {
                    r#type: resource.r#type.clone(),
                    name: resource.name.clone(),
                    address,
                    module_path: without_indices(&module.address),
                    ..Resource::default()
                });
            }
        });
        found.into_values().collect()
    }

    /// Whether something is said about resources, for which the graph says about which.
    pub(crate) fn has_descriptions(&self) -> bool {
        let mut found = false;
        self.each(|_, resource| found |= resource.is_description());
        found
    }

    /// The managed resources with what the template says about them: each description is of the nearest resource that it
    /// depends on. An error where two are of the same one.
    pub(crate) fn described(&self, graph: &Graph) -> Result<Vec<Resource>, String> {
        let mut resources = self.resources();
        let mut descriptions = BTreeMap::new();
        self.each(|_, resource| {
            if resource.is_description() {
                descriptions.entry(without_indices(&resource.address)).or_insert(resource);
            }
        });
        let mut described: BTreeMap<String, &String> = BTreeMap::new();
        for (address, description) in &descriptions {
            let Some(of) = graph.nearest(address, |label| resources.iter().any(|r| r.address == label)) else {
                continue;
            };
            if let Some(other) = described.insert(of.to_owned(), address) {
                return Err(format!("{other} and {address} both describe {of}; a resource can have one description"));
            }
            let found = resources.iter_mut().find(|r| r.address == of);
            let values =
                Option::<Description>::deserialize(&description.values).map_err(|e| format!("{address}: {e}"))?;
            let values = values.unwrap_or_default();
            if let Some(resource) = found {
                resource.hide = values.hide.unwrap_or(false);
                resource.icon = values.icon.unwrap_or_default();
                resource.daily_cost = values.daily_cost.unwrap_or(0);
                resource.metadata = values.item.unwrap_or_default().into_iter().map(ResourceMetadata::from).collect();
            }
        }
        Ok(resources)
    }

    /// The sum of what the template says its resources cost.
    pub(crate) fn daily_cost(&self) -> i32 {
        let mut sum: i64 = 0;
        self.each(|_, resource| {
            if resource.is_description() {
                let cost = resource.values.get("daily_cost").and_then(serde_json::Value::as_i64);
                sum = sum.saturating_add(cost.unwrap_or(0));
            }
        });
        i32::try_from(sum.max(0)).unwrap_or(i32::MAX)
    }

    fn each<'a>(&'a self, mut f: impl FnMut(&'a ShownModule, &'a ShownResource)) {
        let mut open: Vec<&ShownModule> = self.root().into_iter().collect();
        while let Some(module) = open.pop() {
            module.resources.iter().for_each(|resource| f(module, resource));
            open.extend(&module.child_modules);
        }
    }
}

/// An address as the template names it: without the index of any instance.
fn without_indices(address: &str) -> String {
    let mut named = String::with_capacity(address.len());
    let (mut in_index, mut in_key, mut escaped) = (false, false, false);
    for c in address.chars() {
        match c {
            _ if std::mem::take(&mut escaped) => {}
            '\\' if in_key => escaped = true,
            '"' if in_index => in_key = !in_key,
            ']' if in_index && !in_key => in_index = false,
            _ if in_index => {}
            '[' => in_index = true,
            c => named.push(c),
        }
    }
    named
}

/// The values of a `coder_metadata`; unknown ones aren't there.
#[derive(Debug, Default, Deserialize)]
struct Description {
    hide: Option<bool>,
    icon: Option<String>,
    daily_cost: Option<i32>,
    item: Option<Vec<Item>>,
}

#[derive(Debug, Deserialize)]
struct Item {
    key: Option<String>,
    value: Option<String>,
    sensitive: Option<bool>,
}

impl From<Item> for ResourceMetadata {
    fn from(item: Item) -> Self {
        Self {
            key: item.key.unwrap_or_default(),
            value: item.value.unwrap_or_default(),
            sensitive: item.sensitive.unwrap_or(false),
        }
    }
}

#[derive(Debug, Deserialize)]
struct ModulesFile {
    #[serde(rename = "Modules")]
    modules: Vec<ModuleEntry>,
}

#[derive(Debug, Deserialize)]
struct ModuleEntry {
    #[serde(rename = "Key", default)]
    key: String,
    #[serde(rename = "Source", default)]
    source: String,
    #[serde(rename = "Version", default)]
    version: String,
}

/// The modules that `init` installed; none where it wrote down none.
pub(crate) async fn modules(work: &Path) -> Vec<Module> {
    let path = work.join(".terraform/modules/modules.json");
    let bytes = foreign::read_async(path, MAX_MODULES_FILE).await.unwrap_or_default();
    let file: Option<ModulesFile> = serde_json::from_slice(&bytes).ok();
    let entries = file.into_iter().flat_map(|f| f.modules).filter(|m| !m.key.is_empty());
    entries.map(|m| Module { key: m.key, source: m.source, version: m.version }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_are_one_resource_and_data_is_none() {
        let json = r#"{"format_version": "1.2", "planned_values": {"root_module": {
            "resources": [
                {"address": "a.x[0]", "mode": "managed", "type": "a", "name": "x", "values": {}},
                {"address": "a.x[1]", "mode": "managed", "type": "a", "name": "x", "values": {}},
                {"address": "data.b.y", "mode": "data", "type": "b", "name": "y"},
                {"address": "coder_metadata.m", "mode": "managed", "type": "coder_metadata", "name": "m",
                 "values": {"daily_cost": 7}}],
            "child_modules": [{"address": "module.m[\"k\"]", "resources": [
                {"address": "module.m[\"k\"].c.z", "mode": "managed", "type": "c", "name": "z"}]}]}}}"#;
        let show: Show = serde_json::from_str(json).unwrap();
        let found: Vec<_> = show.resources().into_iter().map(|r| (r.address, r.module_path)).collect();
        assert_eq!(found, [("a.x".to_owned(), String::new()), ("module.m.c.z".to_owned(), "module.m".to_owned())]);
        assert_eq!(show.daily_cost(), 7);
    }

    #[test]
    fn descriptions_are_of_what_they_depend_on() {
        let json = |others: &str| {
            let text = format!(
                r#"{{"values": {{"root_module": {{"resources": [
                    {{"address": "a.x[0]", "mode": "managed", "type": "a", "name": "x"}},
                    {{"address": "a.y", "mode": "managed", "type": "a", "name": "y"}},
                    {{"address": "coder_metadata.m[\"k[1]\"]", "mode": "managed", "type": "coder_metadata", "name": "m",
                     "values": {{"daily_cost": 3, "hide": true, "icon": "/i.svg", "resource_id": "1", "item": [
                        {{"key": "cpu", "value": "2", "sensitive": false, "is_null": false}},
                        {{"key": "token", "value": null, "sensitive": true, "is_null": true}}]}}}}{others}]}}}}}}"#
            );
            serde_json::from_str::<Show>(&text).unwrap()
        };
        let dot = r#""[root] coder_metadata.m (expand)" -> "[root] a.x (expand)"
            "[root] coder_metadata.n (expand)" -> "[root] a.x (expand)""#;
        let graph = Graph::parse(dot);
        let found = json("").described(&graph).unwrap();
        assert_eq!((found[0].daily_cost, found[0].hide, found[0].icon.as_str()), (3, true, "/i.svg"));
        let items: Vec<_> = found[0].metadata.iter().map(|m| (m.key.as_str(), m.value.as_str(), m.sensitive)).collect();
        assert_eq!(items, [("cpu", "2", false), ("token", "", true)]);
        assert!(found[1].metadata.is_empty() && found.len() == 2);
        let second = r#", {"address": "coder_metadata.n", "mode": "managed", "type": "coder_metadata", "name": "n"}"#;
        assert!(json(second).described(&graph).unwrap_err().contains("a.x"));
    }

    #[test]
    fn an_empty_state_has_no_resources() {
        let show: Show = serde_json::from_str(r#"{"format_version": "1.0"}"#).unwrap();
        assert!(show.resources().is_empty());
    }
}

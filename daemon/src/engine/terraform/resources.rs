//! Resources, costs and modules from Terraform's own JSON.

use std::collections::BTreeMap;
use std::path::Path;

use orgplane_proto::provisioner::v1::{Module, Resource};
use serde::Deserialize;

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

impl Show {
    fn root(&self) -> Option<&ShownModule> {
        self.planned_values.as_ref().or(self.values.as_ref()).map(|v| &v.root_module)
    }

    /// The managed resources by address; the instances of one resource are one.
    pub(crate) fn resources(&self) -> Vec<Resource> {
        let mut found = BTreeMap::new();
        self.each(|module, resource| {
            if resource.mode == "managed" && !DESCRIPTIONS.contains(&resource.r#type.as_str()) {
                let address = without_index(&resource.address);
                found.entry(address.to_owned()).or_insert_with(|| Resource {
                    r#type: resource.r#type.clone(),
                    name: resource.name.clone(),
                    address: address.to_owned(),
                    module_path: without_index(&module.address).to_owned(),
                    ..Resource::default()
                });
            }
        });
        found.into_values().collect()
    }

    /// The sum of what the template says its resources cost.
    pub(crate) fn daily_cost(&self) -> i32 {
        let mut sum: i64 = 0;
        self.each(|_, resource| {
            if resource.r#type == "coder_metadata" {
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

/// An address cut at its first index.
fn without_index(address: &str) -> &str {
    address.split_once('[').map_or(address, |(label, _)| label)
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
        assert_eq!(found, [("a.x".to_owned(), String::new()), ("module.m".to_owned(), "module.m".to_owned())]);
        assert_eq!(show.daily_cost(), 7);
    }

    #[test]
    fn an_empty_state_has_no_resources() {
        let show: Show = serde_json::from_str(r#"{"format_version": "1.0"}"#).unwrap();
        assert!(show.resources().is_empty());
    }
}

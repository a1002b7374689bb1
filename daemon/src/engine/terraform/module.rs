//! Reads a template's root module: its variables, and what may not be in it.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use hcl::eval::{Context as HclContext, Evaluate as _};
use orgplane_proto::provisioner::v1::TemplateVariable;
use serde_json::Value;

use super::json;
use crate::foreign;

/// A file longer than this is not configuration.
const MAX_FILE: u64 = 8 * 1024 * 1024;

/// A declared variable.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Variable {
    pub(crate) name: String,
    description: String,
    /// Terraform's type expression; empty where none is given.
    pub(crate) r#type: String,
    /// `None`: it is required.
    default: Option<Value>,
    pub(crate) sensitive: bool,
    /// Its value is in no plan: `apply` needs it again.
    pub(crate) ephemeral: bool,
}

impl Variable {
    pub(crate) fn required(&self) -> bool {
        self.default.is_none()
    }

    pub(crate) fn default_value(&self) -> Option<&Value> {
        self.default.as_ref()
    }

    /// As text; JSON for anything but strings.
    pub(crate) fn default_text(&self) -> String {
        match &self.default {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        }
    }
}

impl From<&Variable> for TemplateVariable {
    fn from(variable: &Variable) -> Self {
        Self {
            name: variable.name.clone(),
            description: variable.description.clone(),
            r#type: if variable.r#type.is_empty() { "string".to_owned() } else { variable.r#type.clone() },
            default_value: variable.default_text(),
            required: variable.required(),
            sensitive: variable.sensitive,
        }
    }
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Module {
    /// In the order of files and lines.
    pub(crate) variables: Vec<Variable>,
    /// The first file that would send the state elsewhere, and how.
    pub(crate) foreign_backend: Option<String>,
    /// The first file that can't be read, and why. Terraform has the last word on it.
    pub(crate) unreadable: Option<String>,
}

/// Reads the files of the directory that the engine would read.
pub(crate) fn inspect(dir: &Path, opentofu: bool) -> io::Result<Module> {
    let mut names: Vec<String> = fs::read_dir(dir)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| is_configuration(name, opentofu))
        .collect();
    // Overrides come last, as in Terraform.
    names.sort_by_key(|name| (is_override(name), name.clone()));
    let mut module = Module::default();
    for name in &names {
        if opentofu && of_tofu(name).is_some_and(|other| names.contains(&other)) {
            continue;
        }
        let path = dir.join(name);
        let bytes = foreign::read(&path, MAX_FILE).map_err(|e| e.to_string());
        let text = bytes.and_then(|b| String::from_utf8(b).map_err(|_| "it isn't UTF-8".to_owned()));
        let read = text.and_then(|text| {
            if name.ends_with(".json") {
                read_json(&text, name, &mut module)
            } else {
                read_hcl(&text, name, &mut module)
            }
        });
        if let Err(error) = read {
            module.unreadable.get_or_insert(format!("{name}: {error}"));
        }
    }
    Ok(module)
}

/// What Terraform calls the name's extension, and those that OpenTofu takes for the same.
const EXTENSIONS: [(&str, &str); 2] = [(".tf", ".tofu"), (".tf.json", ".tofu.json")];

fn stem(name: &str, extensions: impl IntoIterator<Item = &'static str>) -> Option<&str> {
    extensions.into_iter().find_map(|extension| name.strip_suffix(extension))
}

fn is_configuration(name: &str, opentofu: bool) -> bool {
    let known = stem(name, EXTENSIONS.map(|(tf, _)| tf))
        .or_else(|| stem(name, EXTENSIONS.map(|(_, tofu)| tofu)).filter(|_| opentofu));
    !name.starts_with('.') && known.is_some()
}

/// The file that OpenTofu reads in place of this one, if it is there.
fn of_tofu(name: &str) -> Option<String> {
    EXTENSIONS.iter().find_map(|(tf, tofu)| name.strip_suffix(tf).map(|stem| format!("{stem}{tofu}")))
}

/// By what stands before the extension, dots and all, as Terraform sees it.
fn is_override(name: &str) -> bool {
    let stem = stem(name, EXTENSIONS.into_iter().flat_map(|(tf, tofu)| [tf, tofu])).unwrap_or(name);
    stem == "override" || stem.ends_with("_override")
}

impl Module {
    /// A later declaration of the same name can only be an override: it changes what it names.
    fn declare(&mut self, name: &str, attributes: BTreeMap<&str, Value>) {
        let index = self.variables.iter().position(|v| v.name == name).unwrap_or_else(|| {
            self.variables.push(Variable { name: name.to_owned(), ..Variable::default() });
            self.variables.len() - 1
        });
        let Some(variable) = self.variables.get_mut(index) else { return };
        for (key, value) in attributes {
            match (key, value) {
                ("description", Value::String(text)) => variable.description = text,
                ("type", Value::String(text)) => variable.r#type = text,
                ("sensitive", value) => variable.sensitive = may_be_true(&value),
                ("ephemeral", value) => variable.ephemeral = may_be_true(&value),
                ("default", value) => variable.default = Some(value),
                _ => {}
            }
        }
    }

    fn terraform_block(&mut self, file: &str, block: &str) {
        if matches!(block, "cloud" | "state_store") {
            let text = format!("{file} has a `{block}` block; templates must leave the state to Orgplane");
            self.foreign_backend.get_or_insert(text);
        } else if block == "backend" && is_override(file) {
            let text = format!("{file} overrides the backend; templates must leave the state to Orgplane");
            self.foreign_backend.get_or_insert(text);
        }
    }
}

fn read_hcl(text: &str, file: &str, module: &mut Module) -> Result<(), String> {
    // Terraform takes a byte order mark, the parser doesn't.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let body = hcl::parse(text).map_err(|e| e.to_string())?;
    for block in body.blocks() {
        match (block.identifier(), block.labels()) {
            ("terraform", _) => {
                block.body().blocks().for_each(|inner| module.terraform_block(file, inner.identifier()));
            }
            ("variable", [label]) => {
                let attributes = block.body().attributes().map(|a| (a.key(), attribute(a.key(), a.expr()))).collect();
                module.declare(label.as_str(), attributes);
            }
            _ => {}
        }
    }
    Ok(())
}

fn attribute(key: &str, expression: &hcl::Expression) -> Value {
    if key == "type" {
        return Value::String(match expression {
            // Quoted, as in Terraform 0.11.
            hcl::Expression::String(text) => text.clone(),
            other => hcl::format::to_string(other).unwrap_or_default(),
        });
    }
    // What Terraform refuses anyway counts as null.
    constant(expression).unwrap_or(Value::Null)
}

/// The value of an expression that names nothing, as Terraform wants them in declarations and values.
pub(crate) fn constant(expression: &hcl::Expression) -> Option<Value> {
    let value = expression.evaluate(&HclContext::new()).ok()?;
    serde_json::to_value(value).ok()
}

/// Whether Terraform may take the value for true, which it also reads from texts. What it refuses counts as true.
fn may_be_true(value: &Value) -> bool {
    !matches!(value, Value::Bool(false)) && !matches!(value.as_str(), Some("false" | "0"))
}

fn read_json(text: &str, file: &str, module: &mut Module) -> Result<(), String> {
    let root = json::unambiguous(text)?;
    for (key, value) in entries(&root) {
        match key {
            "terraform" => entries(value).into_iter().for_each(|(block, _)| module.terraform_block(file, block)),
            "variable" => {
                for (name, body) in entries(value) {
                    module.declare(name, entries(body).into_iter().map(|(k, v)| (k, v.clone())).collect());
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// What is in a body: in an object, or in all those of a list, wherever Terraform takes one.
fn entries(body: &Value) -> Vec<(&str, &Value)> {
    match body {
        Value::Object(object) => object.iter().map(|(key, value)| (key.as_str(), value)).collect(),
        Value::Array(list) => list.iter().flat_map(entries).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(files: &[(&str, &str)], opentofu: bool) -> Module {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        inspect(dir.path(), opentofu).unwrap()
    }

    #[test]
    fn variables_are_read_from_both_syntaxes() {
        let hcl = r#"
            variable "region" {
              description = "Where"
              type        = string
              default     = "eu"
            }
            variable "sizes" {
              type    = list(number)
              default = [1, 2]
            }
            variable "token" {
              sensitive   = true
              description = <<-EOT
                Two
                lines
              EOT
            }
        "#;
        let json = r#"{"variable": {"flag": {"type": "bool", "default": false}}}"#;
        let found = module(
            &[("a.tf", hcl), ("b.tf.json", json), ("a_override.tf", "variable \"region\" { default = \"us\" }")],
            false,
        );
        assert_eq!(found.unreadable, None);
        let wire: Vec<TemplateVariable> = found.variables.iter().map(TemplateVariable::from).collect();
        let shown: Vec<_> =
            wire.iter().map(|v| (v.name.as_str(), v.r#type.as_str(), v.default_value.as_str(), v.required)).collect();
        let expected = [
            ("region", "string", "us", false),
            ("sizes", "list(number)", "[1,2]", false),
            ("token", "string", "", true),
            ("flag", "bool", "false", false),
        ];
        assert_eq!(shown, expected);
        assert!(wire[2].sensitive && wire[2].description.contains("Two\nlines"));
        assert_eq!(wire[0].description, "Where");
    }

    #[test]
    fn a_state_elsewhere_is_noticed() {
        let cloud = "terraform {\n cloud {\n organization = \"x\"\n }\n}";
        assert!(module(&[("main.tf", cloud)], false).foreign_backend.unwrap().contains("`cloud`"));
        let json = r#"{"terraform": [{"cloud": {}}]}"#;
        assert!(module(&[("main.tf.json", json)], false).foreign_backend.is_some());
        let backend = "terraform {\n backend \"http\" {}\n}";
        assert!(module(&[("main.tf", backend)], false).foreign_backend.is_none(), "our override replaces it");
        assert!(module(&[("zz_override.tf", backend)], false).foreign_backend.is_some());
        assert!(module(&[("main.tofu", cloud)], false).foreign_backend.is_none());
        assert!(module(&[("main.tofu", cloud)], true).foreign_backend.is_some());
        let store = "terraform {\n state_store \"x\" {}\n}";
        assert!(module(&[("main.tf", store)], false).foreign_backend.is_some());
    }

    #[test]
    fn overrides_are_those_that_terraform_takes_for_some() {
        let backend = "terraform {\n backend \"http\" {}\n}";
        let list = r#"[{"terraform": {"backend": {"http": {}}}}]"#;
        let lists = r#"[[{"terraform": [[{"backend": {"http": {}}}]]}]]"#;
        for (name, text) in [
            ("override.tf", backend),
            ("z.x_override.tf", backend),
            ("z.tf_override.tf", backend),
            ("zz_override.tf.json", list),
            ("zz_override.tf.json", lists),
        ] {
            assert!(module(&[(name, text)], false).foreign_backend.is_some(), "{name}: {text}");
        }
        for name in ["override.x.tf", "zz_override.json.tf", "zz_override.tofu"] {
            assert!(module(&[(name, backend)], false).foreign_backend.is_none(), "{name}");
        }
        let shadow = |name| module(&[("a.tf.b_override.tf", backend), (name, "")], true).foreign_backend;
        assert!(shadow("a.tofu.b_override.tofu").is_some(), "another file");
        assert!(shadow("a.tf.b_override.tofu").is_none());
        let twice = r#"{"terraform": {"backend": {"http": {}}}, "terraform": {}}"#;
        assert!(module(&[("zz_override.tf.json", twice)], false).unreadable.unwrap().contains("\"terraform\""));
    }

    #[test]
    fn what_may_be_sensitive_is() {
        let hcl = |value: &str| module(&[("a.tf", &format!("variable \"a\" {{\n  sensitive = {value}\n}}"))], false);
        let json = |value: &str| {
            module(&[("a.tf.json", &format!(r#"[{{"variable": {{"a": [{{"sensitive": {value}}}]}}}}]"#))], false)
        };
        for (value, sensitive) in [("true", true), ("\"true\"", true), ("false", false), ("\"false\"", false)] {
            assert_eq!(hcl(value).variables[0].sensitive, sensitive, "{value}");
            assert_eq!(json(value).variables[0].sensitive, sensitive, "{value}");
        }
        assert!(hcl("local.x").variables[0].sensitive && hcl("tobool(\"false\")").variables[0].sensitive);
        assert!(json("\"${true}\"").variables[0].sensitive && !json("false").variables[0].ephemeral);
        assert!(!module(&[("a.tf", "variable \"a\" {}")], false).variables[0].sensitive);
    }

    #[test]
    fn a_broken_file_is_named() {
        let found = module(&[("main.tf", "resource {{{"), ("ok.tf", "variable \"a\" {}")], false);
        assert!(found.unreadable.unwrap().starts_with("main.tf: "));
        assert_eq!(found.variables.len(), 1);
    }
}

//! Values of template variables: from flags, from a file, from whoever sits at the terminal.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use hcl::Attribute;
use hcl::eval::Evaluate as _;
use orgplane_proto::template::v1::{ListTemplateVersionVariablesRequest, VariableInput};
use serde_json::{Map, Value};

use crate::client::Client;
use crate::error::Usage;
use crate::printable::printable_line;
use crate::terminal;

/// Values of flags win over those of a file.
pub(super) fn given(flags: Vec<(String, String)>, file: Option<&Path>) -> Result<Vec<VariableInput>> {
    let mut values = match file {
        Some(file) => read(file)?,
        None => Vec::new(),
    };
    let mut named = std::collections::BTreeSet::new();
    for (name, value) in flags {
        if !named.insert(name.clone()) {
            return Err(Usage::new(format!("--variable: {name} is given twice")).into());
        }
        values.retain(|other| other.name != name);
        values.push(VariableInput { name, value });
    }
    Ok(values)
}

fn read(file: &Path) -> Result<Vec<VariableInput>> {
    let shown = printable_line(&file.display().to_string());
    let text = fs::read_to_string(file).with_context(|| format!("--variables-file: can't read {shown}"))?;
    // The parsers' own errors quote the file, and with it secrets.
    let map: Map<String, Value> = if file.extension().is_some_and(|extension| extension == "json") {
        serde_json::from_str(&text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            Usage::new(format!("--variables-file: {shown} isn't a JSON object: line {line}, column {column}"))
        })?
    } else {
        constants(&text, &shown)?
    };
    let value = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    Ok(map.into_iter().map(|(name, v)| VariableInput { name, value: value(v) }).collect())
}

/// The attributes of a terraform.tfvars, whose values need nothing to be known.
fn constants(text: &str, shown: &str) -> Result<Map<String, Value>> {
    let format = || {
        Usage::new(format!("--variables-file: {shown} isn't in the format of terraform.tfvars: lines `name = value`"))
    };
    let body = hcl::parse(text).map_err(|_| format())?;
    let mut map = Map::new();
    for structure in body {
        let Attribute { key, expr } = structure.into_attribute().ok_or_else(format)?;
        let value = expr.evaluate(&hcl::eval::Context::new()).ok().and_then(|value| serde_json::to_value(value).ok());
        let value = value.ok_or_else(|| {
            let name = printable_line(&key);
            Usage::new(format!(
                "--variables-file: {shown}: the value of {name} must be a constant: text stands in quotes, and there are no \
                 variables and functions"
            ))
        })?;
        map.insert(key.to_string(), value);
    }
    Ok(map)
}

/// The variables that a version wants and has no value for.
pub(super) async fn missing(client: &Client, version: &str, values: &[VariableInput]) -> Result<Vec<(String, bool)>> {
    let request = ListTemplateVersionVariablesRequest { template_version: version.to_owned() };
    let reply = client.template_versions().list_template_version_variables(request).await;
    let variables = reply.context("can't read the template's variables")?.into_inner().variables;
    let is_given = |name: &str| values.iter().any(|value| value.name == name && !value.value.is_empty());
    let missing = variables.into_iter().filter(|variable| variable.required && !is_given(&variable.name));
    Ok(missing.map(|variable| (variable.name, variable.sensitive)).collect())
}

/// Asks for values where that is possible, or says how to give them.
pub(super) async fn ask(
    missing: Vec<(String, bool)>,
    mut values: Vec<VariableInput>,
    possible: bool,
) -> Result<Vec<VariableInput>> {
    let names = missing.iter().map(|(name, _)| printable_line(name)).collect::<Vec<_>>().join(", ");
    if !possible || !terminal::is_interactive() {
        return Err(Usage::new(format!(
            "give values with --variable NAME=VALUE or --variables-file: the template needs {names}"
        ))
        .into());
    }
    for (name, sensitive) in missing {
        let question = format!("Value of the template variable {}", printable_line(&name));
        let value = if sensitive { terminal::ask_hidden(question).await? } else { terminal::ask(question).await? };
        values.retain(|other| other.name != name);
        values.push(VariableInput { name, value });
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_flags_give_values() {
        let dir = tempfile::tempdir().unwrap();
        let hcl = dir.path().join("prod.tfvars");
        fs::write(&hcl, "size = \"large\"\ncount = 3\nzones = [\"a\", \"b\"]\n").unwrap();
        let values = given(vec![("size".to_owned(), "small".to_owned())], Some(&hcl)).unwrap();
        let mut values: Vec<_> = values.into_iter().map(|value| format!("{}={}", value.name, value.value)).collect();
        values.sort();
        assert_eq!(values, ["count=3", "size=small", "zones=[\"a\",\"b\"]"]);
        let json = dir.path().join("prod.json");
        fs::write(&json, r#"{"on": true}"#).unwrap();
        assert_eq!(given(Vec::new(), Some(&json)).unwrap()[0].value, "true");
    }

    #[test]
    fn values_are_constants() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.tfvars");
        for expression in ["hello", "\"a-${var.secret}\"", "upper(\"secret\")", "[hello]", "{ a = hello }"] {
            fs::write(&file, format!("fine = 1\nplain = {expression}\n")).unwrap();
            let error = given(Vec::new(), Some(&file)).unwrap_err();
            let text = error.to_string();
            assert!(error.is::<Usage>() && text.contains("plain") && text.contains("constant"), "{expression}: {text}");
            assert!(!text.contains("secret") && !text.contains("hello"), "{text}");
        }
        let values = "text = \"$${kept}\"\nsum = 1 + 2\nmany = { a = [true, null] }\nlong = <<-X\n  a\n  b\n  X\n";
        fs::write(&file, values).unwrap();
        let mut values: Vec<_> =
            given(Vec::new(), Some(&file)).unwrap().into_iter().map(|v| format!("{}={}", v.name, v.value)).collect();
        values.sort();
        assert_eq!(values, ["long=a\nb\n", "many={\"a\":[true,null]}", "sum=3", "text=${kept}"]);
        fs::write(&file, "block { }\n").unwrap();
        assert!(given(Vec::new(), Some(&file)).unwrap_err().to_string().contains("terraform.tfvars"));
    }

    #[test]
    fn broken_files_are_named_without_their_content() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["x.tfvars", "x.json"] {
            let file = dir.path().join(name);
            fs::write(&file, "secret-value = = {{").unwrap();
            let error = format!("{:#}", given(Vec::new(), Some(&file)).unwrap_err());
            assert!(error.contains(name) && !error.contains("secret-value"), "{error}");
        }
        assert!(given(Vec::new(), Some(&dir.path().join("nowhere"))).is_err());
        let twice = ["a", "b"].map(|value| ("x".to_owned(), value.to_owned())).to_vec();
        assert!(given(twice, None).unwrap_err().to_string().contains("twice"));
    }
}

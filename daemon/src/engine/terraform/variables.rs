//! The values of a template's variables, as files for `-var-file`.

use orgplane_proto::provisioner::v1::VariableValue;
use serde_json::{Map, Value};

use super::module::{self, Variable};
use crate::engine::Failure;
use orgplane_proto::provisioner::v1::JobErrorCode;

/// The contents of two `.tfvars.json`: values for declared variables only, typed as the declaration says.
#[derive(Debug, Default)]
pub(crate) struct VarFiles {
    /// Those that a plan keeps.
    pub(crate) kept: Map<String, Value>,
    /// Those that are in no plan.
    pub(crate) ephemeral: Map<String, Value>,
}

/// What Terraform is to be given of these values.
pub(crate) fn var_files(declared: &[Variable], values: &[VariableValue]) -> Result<VarFiles, Failure> {
    let mut files = VarFiles::default();
    let mut missing = Vec::new();
    for variable in declared {
        let value = values.iter().find(|v| v.name == variable.name).map(|v| v.value.as_str());
        match value {
            None | Some("") if variable.required() => missing.push(variable.name.as_str()),
            None => {}
            // Terraform knows its own default better than a text of it.
            Some(text) if !variable.required() && text == variable.default_text() => {}
            Some(text) => {
                let file = if variable.ephemeral { &mut files.ephemeral } else { &mut files.kept };
                file.insert(variable.name.clone(), typed(variable, text)?);
            }
        }
    }
    if missing.is_empty() {
        return Ok(files);
    }
    let code = JobErrorCode::RequiredTemplateVariables;
    Err(Failure::Job { error: format!("required template variables have no value: {}", missing.join(", ")), code })
}

/// What is to be masked in logs: the texts, and what templates take out of lists, maps and objects.
pub(crate) fn secrets(declared: &[Variable], values: &[VariableValue]) -> Vec<String> {
    let mut secrets = Vec::new();
    for given in values {
        let variable = declared.iter().find(|d| d.name == given.name);
        if given.sensitive || variable.is_some_and(|d| d.sensitive) {
            secrets.push(given.value.clone());
            if let Some(Ok(value)) = variable.map(|d| typed(d, &given.value)) {
                leaves(&value, &mut secrets);
            }
        }
    }
    for variable in declared.iter().filter(|d| d.sensitive) {
        secrets.push(variable.default_text());
        variable.default_value().into_iter().for_each(|value| leaves(value, &mut secrets));
    }
    secrets.sort_unstable();
    secrets.dedup();
    secrets
}

/// Every text and number in it. Of truths there are two, which mask nothing.
fn leaves(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) => into.push(text.clone()),
        Value::Number(number) => into.push(number.to_string()),
        Value::Array(list) => list.iter().for_each(|value| leaves(value, into)),
        Value::Object(object) => object.values().for_each(|value| leaves(value, into)),
        Value::Null | Value::Bool(_) => {}
    }
}

fn typed(variable: &Variable, text: &str) -> Result<Value, Failure> {
    // Terraform itself turns texts into numbers and truths.
    if matches!(variable.r#type.as_str(), "" | "string" | "number" | "bool") {
        return Ok(Value::String(text.to_owned()));
    }
    if let Ok(value) = serde_json::from_str(text) {
        return Ok(value);
    }
    expression(text).ok_or_else(|| {
        let (name, r#type) = (&variable.name, &variable.r#type);
        Failure::job(format!("the value of the template variable {name:?} is no constant {}", r#type))
    })
}

/// The value of a text in Terraform's own syntax, if it is one and names nothing.
fn expression(text: &str) -> Option<Value> {
    let body = hcl::parse(&format!("value = {text}\n")).ok()?;
    let mut attributes = body.attributes();
    let first = attributes.next().filter(|_| attributes.next().is_none() && body.blocks().next().is_none())?;
    module::constant(first.expr())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::engine::terraform::module;

    fn declared(text: &str) -> Vec<Variable> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("v.tf"), text).unwrap();
        module::inspect(dir.path(), false).unwrap().variables
    }

    fn value(name: &str, value: &str) -> VariableValue {
        VariableValue { name: name.to_owned(), value: value.to_owned(), sensitive: false }
    }

    #[test]
    fn values_follow_the_declared_types() {
        let declared = declared(
            "variable \"s\" {}\nvariable \"n\" { type = number }\nvariable \"l\" { type = list(string) }\n\
             variable \"o\" { type = object({a = string}) }\nvariable \"d\" { default = \"x\" }\n",
        );
        let values = [
            value("s", "${not a template}"),
            value("n", "3"),
            value("l", "[\"a\"]"),
            value("o", "{ a = \"b\" }"),
            value("d", "x"),
            value("undeclared", "1"),
        ];
        let files = var_files(&declared, &values).unwrap();
        let expected = json!({"s": "${not a template}", "n": "3", "l": ["a"], "o": {"a": "b"}});
        assert_eq!(Value::Object(files.kept), expected);
        for text in ["[broken", "[a, b]", "[\"${a}\",]", "[file(\"x\")]", "[]\nother = 1", "[]\nblock {}"] {
            let mut wrong = values.to_vec();
            wrong[2].value = text.to_owned();
            let failed = var_files(&declared, &wrong);
            assert!(matches!(failed, Err(Failure::Job { error, .. }) if error.contains("\"l\"")), "{text}");
        }
    }

    #[test]
    fn values_in_terraforms_syntax_are_constants() {
        let declared = declared("variable \"l\" { type = list(string) }");
        for (text, expected) in [
            (r#"["$${a}", "%%{b}",]"#, json!(["${a}", "%{b}"])),
            (r#"["a\"b\n", "x${1 + 1}",]"#, json!(["a\"b\n", "x2"])),
            // JSON has no templates.
            (r#"["${a}"]"#, json!(["${a}"])),
            ("[<<-EOT\n    one\n      two\n    EOT\n]", json!(["one\n  two\n"])),
            ("[ # a comment\n  \"a\",\n]", json!(["a"])),
        ] {
            let files = var_files(&declared, &[value("l", text)]).unwrap();
            assert_eq!(files.kept["l"], expected, "{text}");
        }
    }

    #[test]
    fn ephemeral_values_have_a_file_of_their_own() {
        let declared = declared("variable \"e\" {\n  ephemeral = true\n}\nvariable \"k\" {}");
        let files = var_files(&declared, &[value("e", "1"), value("k", "2")]).unwrap();
        assert_eq!((Value::Object(files.kept), Value::Object(files.ephemeral)), (json!({"k": "2"}), json!({"e": "1"})));
    }

    #[test]
    fn missing_values_are_named() {
        let declared = declared("variable \"a\" {}\nvariable \"b\" {}\nvariable \"c\" { default = 1 }");
        let Err(Failure::Job { error, code }) = var_files(&declared, &[value("a", "")]) else { panic!() };
        assert_eq!(code, JobErrorCode::RequiredTemplateVariables);
        assert!(error.ends_with("a, b"), "{error}");
    }

    #[test]
    fn sensitive_values_are_found() {
        let declared = declared("variable \"a\" {\n sensitive = true\n default = \"dflt\"\n}\nvariable \"b\" {}");
        let mut given = value("b", "bbb");
        assert_eq!(secrets(&declared, &[value("a", "aaa"), given.clone()]), ["aaa", "dflt"]);
        given.sensitive = true;
        assert_eq!(secrets(&declared, &[given]), ["bbb", "dflt"]);
    }

    #[test]
    fn what_sensitive_values_hold_is_found() {
        let text = "variable \"l\" {\n type = map(any)\n sensitive = true\n default = { x = [\"dflt\", 7, true] }\n}";
        let declared = declared(text);
        let found = secrets(&declared, &[value("l", "{ a = { b = \"leaf\" }, c = [12345] }")]);
        for secret in ["leaf", "12345", "dflt", "7"] {
            assert!(found.iter().any(|f| f == secret), "{secret}: {found:?}");
        }
    }
}

//! The values of a template's variables, as a file for `-var-file`.

use orgplane_proto::provisioner::v1::VariableValue;
use serde_json::{Map, Value};

use super::module::Variable;
use crate::engine::Failure;
use orgplane_proto::provisioner::v1::JobErrorCode;

/// The contents of a `.tfvars.json`: values for declared variables only, typed as the declaration says.
pub(crate) fn var_file(declared: &[Variable], values: &[VariableValue]) -> Result<Value, Failure> {
    let mut file = Map::new();
    let mut missing = Vec::new();
    for variable in declared {
        let value = values.iter().find(|v| v.name == variable.name).map(|v| v.value.as_str());
        match value {
            None | Some("") if variable.required() => missing.push(variable.name.as_str()),
            None => {}
            // Terraform knows its own default better than a text of it.
            Some(text) if !variable.required() && text == variable.default_text() => {}
            Some(text) => {
                file.insert(variable.name.clone(), typed(variable, text)?);
            }
        }
    }
    if missing.is_empty() {
        return Ok(Value::Object(file));
    }
    let code = JobErrorCode::RequiredTemplateVariables;
    Err(Failure::Job { error: format!("required template variables have no value: {}", missing.join(", ")), code })
}

/// What is to be masked in logs.
pub(crate) fn secrets(declared: &[Variable], values: &[VariableValue]) -> Vec<String> {
    let is_sensitive = |name: &str| declared.iter().any(|d| d.sensitive && d.name == name);
    let given = values.iter().filter(|v| v.sensitive || is_sensitive(&v.name)).map(|v| v.value.clone());
    given.chain(declared.iter().filter(|d| d.sensitive).map(Variable::default_text)).collect()
}

fn typed(variable: &Variable, text: &str) -> Result<Value, Failure> {
    // Terraform itself turns texts into numbers and truths.
    if matches!(variable.r#type.as_str(), "" | "string" | "number" | "bool") {
        return Ok(Value::String(text.to_owned()));
    }
    if let Ok(value) = serde_json::from_str(text) {
        return Ok(value);
    }
    let source = format!("value = {text}\n");
    hcl::from_str::<Map<String, Value>>(&source).ok().and_then(|mut map| map.remove("value")).ok_or_else(|| {
        let (name, r#type) = (&variable.name, &variable.r#type);
        Failure::job(format!("the value of the template variable {name:?} is no {}", r#type))
    })
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
        let file = var_file(&declared, &values).unwrap();
        assert_eq!(file, json!({"s": "${not a template}", "n": "3", "l": ["a"], "o": {"a": "b"}}));
        let mut wrong = values.to_vec();
        wrong[2].value = "[broken".to_owned();
        assert!(matches!(var_file(&declared, &wrong), Err(Failure::Job { error, .. }) if error.contains("\"l\"")));
    }

    #[test]
    fn missing_values_are_named() {
        let declared = declared("variable \"a\" {}\nvariable \"b\" {}\nvariable \"c\" { default = 1 }");
        let Err(Failure::Job { error, code }) = var_file(&declared, &[value("a", "")]) else { panic!() };
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
}

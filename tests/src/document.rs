//! The server's own OpenAPI document, held against every answer that tests see.

use std::collections::HashMap;
use std::sync::Mutex;

use jsonschema::Validator;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

const ROOT: &str = "/api/v2";

/// A document and what was compiled of it.
struct Document {
    json: Value,
    /// Path templates, split, literal ones first.
    paths: Vec<(Vec<String>, String)>,
    validators: Mutex<HashMap<String, std::sync::Arc<Validator>>>,
}

static DOCUMENT: OnceCell<Document> = OnceCell::const_new();

/// What is wrong with an answer, by the document of the server at `base`; nothing for what isn't JSON or isn't described.
pub(crate) async fn fault(base: &str, method: &str, path: &str, status: u16, body: &Value) -> Option<String> {
    let fetch = || async {
        let client = reqwest::Client::builder().no_proxy().build()?;
        client.get(format!("{base}{ROOT}/openapi.json")).send().await?.json::<Value>().await.map(Document::new)
    };
    let document: Result<_, reqwest::Error> = DOCUMENT.get_or_try_init(fetch).await;
    document.ok()?.fault(method, path, status, body)
}

impl Document {
    fn new(json: Value) -> Self {
        let names = json["paths"].as_object().into_iter().flat_map(serde_json::Map::keys);
        let mut paths: Vec<_> = names.map(|path| (split(path), path.clone())).collect();
        paths.sort_by_key(|(parts, _)| parts.iter().map(|part| part.starts_with('{')).collect::<Vec<_>>());
        Self { json, paths, validators: Mutex::default() }
    }

    fn fault(&self, method: &str, path: &str, status: u16, body: &Value) -> Option<String> {
        let asked = split(path.strip_prefix(ROOT)?);
        let fits = |parts: &[String]| {
            parts.len() == asked.len() && parts.iter().zip(&asked).all(|(part, is)| part.starts_with('{') || part == is)
        };
        let (_, template) = self.paths.iter().find(|(parts, _)| fits(parts))?;
        let responses = &self.json["paths"][template][method.to_lowercase()].as_object()?["responses"];
        let named = responses.get(status.to_string());
        if status < 400 && named.is_none() {
            return Some(format!("{method} {template} answered {status}, which the OpenAPI document doesn't know"));
        }
        let content = match named {
            Some(response) => &response["content"],
            None => &self.json["components"]["responses"]["Error"]["content"],
        };
        let schema = content["application/json"].get("schema")?;
        if body.is_null() {
            return None;
        }
        let validator = self.validator(schema);
        let first = validator.iter_errors(body).next()?;
        Some(format!(
            "{method} {template} {status}: {first} at {:?} by the OpenAPI document",
            first.instance_path().as_str()
        ))
    }

    fn validator(&self, schema: &Value) -> std::sync::Arc<Validator> {
        let mut known = self.validators.lock().expect("lock");
        let compile = || {
            let whole = json!({"allOf": [schema], "components": self.json["components"]});
            std::sync::Arc::new(jsonschema::validator_for(&whole).expect("a schema of the OpenAPI document"))
        };
        known.entry(schema.to_string()).or_insert_with(compile).clone()
    }
}

fn split(path: &str) -> Vec<String> {
    path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

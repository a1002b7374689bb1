use std::collections::BTreeSet;

use http::StatusCode;
use roas::v3_1::spec::Spec;
use roas::validation::{Options, Validate as _};
use serde_json::Value as Json;

use super::Api;
use crate::manual::root::OPENAPI;
use crate::routes::{self, Route};

fn document() -> Json {
    serde_json::from_str(OPENAPI).unwrap()
}

#[test]
fn the_document_is_valid() {
    let spec: Spec = serde_json::from_str(OPENAPI).unwrap();
    spec.validate(Options::new(), None).unwrap();
}

/// What clients see of the API changes on purpose only.
#[test]
fn the_committed_copy_is_this_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
    if std::env::var_os("ORGPLANE_UPDATE_DOCS").is_some() {
        std::fs::write(path, format!("{:#}\n", document())).unwrap();
    }
    let committed: Json = serde_json::from_str(&std::fs::read_to_string(path).unwrap_or_default()).unwrap_or_default();
    let way = "ORGPLANE_UPDATE_DOCS=1 cargo test -p orgplane-gateway the_committed_copy";
    assert!(
        committed == document(),
        "the API has changed: write docs/openapi.json with {way}, and look at its difference"
    );
}

#[test]
fn every_route_is_in_it_and_nothing_else() {
    let document = document();
    let described: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            let path = format!("/api/v2{}", path.trim_end_matches('/'));
            item.as_object().unwrap().keys().map(move |verb| (verb.to_uppercase(), path.clone()))
        })
        .collect();
    let routes = routes::manual().into_iter().chain(routes::mechanical());
    let served: BTreeSet<(String, String)> =
        routes.map(|Route { method, path, .. }| (method.to_string(), path.to_owned())).collect();
    assert_eq!(described, served);
}

#[test]
fn operations_are_complete() {
    let document = document();
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (verb, operation) in item.as_object().unwrap() {
            let name = format!("{verb} {path}");
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{name}: id used twice");
            assert!(operation["summary"].is_string(), "{name}");
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            for variable in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
                assert!(parameters.iter().any(|p| p["name"] == variable && p["in"] == "path"), "{name}: {variable}");
            }
        }
    }
}

#[tokio::test]
async fn it_is_served_without_credentials() {
    let answer = Api::new().get("/api/v2/openapi.json").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers["content-type"], "application/json; charset=utf-8");
    assert_eq!(serde_json::from_slice::<Json>(&answer.bytes).unwrap(), document());
}

use std::collections::BTreeSet;

use http::StatusCode;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor, Value};

use super::{Api, call};
use crate::routes::{self, Route};

type Operation = (String, String);

fn extension(method: &MethodDescriptor, name: &str) -> Option<DynamicMessage> {
    let options = method.options();
    let found = options.extensions().find(|(e, _)| e.full_name() == name)?;
    found.1.as_message().cloned()
}

fn operation(rule: &DynamicMessage) -> Operation {
    let verbs = ["get", "put", "post", "delete", "patch"];
    let verb = verbs.into_iter().find(|verb| rule.has_field_by_name(verb)).expect("a rule has a verb");
    (verb.to_uppercase(), rule.get_field_by_name(verb).unwrap().as_str().unwrap().to_owned())
}

/// All operations that the descriptors have, by whether they are manual.
fn described(manual: bool) -> BTreeSet<Operation> {
    let pool = DescriptorPool::decode(orgplane_proto::FILE_DESCRIPTOR_SET).unwrap();
    let mut found = BTreeSet::new();
    for method in pool.services().flat_map(|s| s.methods().collect::<Vec<_>>()) {
        let rest = extension(&method, "orgplane.options.v1.rest");
        let is_manual = rest.is_some_and(|r| r.get_field_by_name("manual").and_then(|v| v.as_bool()) == Some(true));
        let Some(rule) = extension(&method, "google.api.http").filter(|_| is_manual == manual) else { continue };
        let more = rule.get_field_by_name("additional_bindings").map(|v| v.into_owned());
        let more = more.as_ref().and_then(Value::as_list).unwrap_or_default();
        for rule in std::iter::once(&rule).chain(more.iter().filter_map(Value::as_message)) {
            assert!(found.insert(operation(rule)), "{:?} is described twice", operation(rule));
        }
    }
    found
}

fn served(routes: Vec<Route>) -> BTreeSet<Operation> {
    routes.into_iter().map(|r| (r.method.to_string(), r.path.to_owned())).collect()
}

#[test]
fn the_router_serves_what_the_descriptors_describe() {
    assert_eq!(served(routes::mechanical()), described(false));
    let mut manual = described(true);
    manual.extend(["/api/v2", "/api/v2/openapi.json"].map(|path| ("GET".to_owned(), path.to_owned())));
    assert_eq!(served(routes::manual()), manual);
}

/// Tables are one thing, the router that stands on them another.
#[tokio::test]
async fn every_operation_reaches_its_handler_and_no_other_method_does() {
    let api = Api::new();
    let all: BTreeSet<Operation> = described(true).into_iter().chain(described(false)).collect();
    for (method, path) in &all {
        let uri = path.replace("{build_number}", "1").replace(['{', '}'], "");
        let answer = api.send(call(method, &uri, "{}")).await;
        let reached = [StatusCode::NOT_IMPLEMENTED, StatusCode::BAD_REQUEST, StatusCode::UPGRADE_REQUIRED];
        let reached = reached.contains(&answer.status);
        assert!(reached, "{method} {uri}: {}", answer.status);
    }
    let paths: BTreeSet<&String> = all.iter().map(|(_, path)| path).collect();
    for path in paths {
        let uri = path.replace(['{', '}'], "");
        for method in ["GET", "PUT", "POST", "DELETE", "PATCH"] {
            if !all.contains(&(method.to_owned(), path.clone())) {
                let answer = api.send(call(method, &uri, "{}")).await;
                // A literal path may stand before a variable one: `users/first` is no `users/{user}`.
                assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {uri}");
                assert!(answer.headers.contains_key(http::header::ALLOW), "{method} {uri}");
            }
        }
    }
}

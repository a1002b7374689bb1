//! `docs/compatibility.md` is held against the descriptors: it names every operation that is served, and says of no such
//! operation that it isn't. `tests/contract.txt`, the list for a contract checker, has the same operations.

use std::collections::BTreeSet;

use orgplane_tests::binary::root;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor, Value};

/// Verb and path below `/api/v2`.
type Operation = (String, String);

/// The heading under which the operations stand that aren't served.
const NOT_SERVED: &str = "\n## Published, but not served\n";
const VERBS: [&str; 5] = ["GET", "PUT", "POST", "DELETE", "PATCH"];

/// The operations of a method's HTTP rules.
fn operations(method: &MethodDescriptor) -> Vec<Operation> {
    let options = method.options();
    let rule = options.extensions().find(|(e, _)| e.full_name() == "google.api.http");
    let Some(rule) = rule.and_then(|(_, rule)| rule.as_message().cloned()) else { return Vec::new() };
    let more = rule.get_field_by_name("additional_bindings").map(|v| v.into_owned());
    let more = more.as_ref().and_then(Value::as_list).unwrap_or_default();
    let operation = |rule: &DynamicMessage| {
        let verb = VERBS.into_iter().find(|verb| rule.has_field_by_name(&verb.to_lowercase()))?;
        let path = rule.get_field_by_name(&verb.to_lowercase())?.as_str()?.to_owned();
        Some((verb.to_owned(), path.strip_prefix("/api/v2").unwrap_or(&path).to_owned()))
    };
    std::iter::once(&rule).chain(more.iter().filter_map(Value::as_message)).filter_map(operation).collect()
}

fn served() -> BTreeSet<Operation> {
    let pool = DescriptorPool::decode(orgplane_proto::FILE_DESCRIPTOR_SET).expect("descriptors");
    let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
    methods.flat_map(|method| operations(&method)).collect()
}

/// The operations that the first cells of a text's table rows name, in backticks.
fn named(text: &str) -> Vec<Operation> {
    let cells = text.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let quoted = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let operation = |text: &str| {
        let (verb, path) = text.split_once(' ')?;
        (VERBS.contains(&verb) && path.starts_with('/')).then(|| (verb.to_owned(), path.to_owned()))
    };
    quoted.filter_map(operation).collect()
}

/// `/a/{some_name}` and `/a/{somename}` are one.
fn anonymous((verb, path): &Operation) -> Operation {
    let parts = path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part });
    (verb.clone(), parts.collect::<Vec<_>>().join("/"))
}

/// The status of success that the published API's clients take: they refuse any other.
fn published_status((verb, path): &Operation) -> u32 {
    let last = path.rsplit('/').find(|part| !part.starts_with('{')).unwrap_or_default();
    let ends_in_variable = path.ends_with('}');
    match (verb.as_str(), last) {
        ("POST", "logout" | "members" | "roles" | "archive" | "unarchive" | "validate-password" | "authcheck") => 200,
        // Not published.
        ("POST", "release") => 200,
        ("POST", _) => 201,
        ("PUT", "profile" | "suspend" | "activate" | "roles" | "dormant" | "extend") => 200,
        ("PUT", _) => 204,
        ("DELETE", "organizations" | "templates" | "groups" | "users") if ends_in_variable => 200,
        ("DELETE", _) => 204,
        ("PATCH", "workspaces") => 204,
        _ => 200,
    }
}

#[test]
fn success_is_told_by_the_published_statuses() {
    let mut wrong = Vec::new();
    let pool = DescriptorPool::decode(orgplane_proto::FILE_DESCRIPTOR_SET).expect("descriptors");
    for method in pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
        let options = method.options();
        let rest = options.extensions().find(|(e, _)| e.full_name() == "orgplane.options.v1.rest");
        let rest = rest.and_then(|(_, rest)| rest.as_message().cloned());
        let member = |name: &str| rest.as_ref().and_then(|rest| rest.get_field_by_name(name).map(|v| v.into_owned()));
        let status = member("success_status").and_then(|v| v.as_u32()).filter(|status| *status != 0).unwrap_or(200);
        let twofold = member("created_field").and_then(|v| v.as_str().map(|name| !name.is_empty())).unwrap_or_default();
        for operation in operations(&method).into_iter().filter(|_| !twofold) {
            if status != published_status(&operation) {
                wrong.push(format!("{operation:?} answers {status}, not {}", published_status(&operation)));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_page_names_what_is_served_and_what_is_not() {
    let page = std::fs::read_to_string(root().join("docs/compatibility.md")).expect("the page");
    let (above, below) = page.split_once(NOT_SERVED).expect("the heading");
    let served = served();
    let listed: BTreeSet<Operation> = named(above).into_iter().collect();
    let missing: Vec<_> = served.difference(&listed).collect();
    assert!(missing.is_empty(), "served, but not on the page: {missing:?}");
    let gone: Vec<_> = listed.difference(&served).collect();
    assert!(gone.is_empty(), "on the page, but not served: {gone:?}");

    let served: BTreeSet<Operation> = served.iter().map(anonymous).collect();
    let mut refused = BTreeSet::new();
    for operation in named(below) {
        assert!(!served.contains(&anonymous(&operation)), "said not to be served, but is: {operation:?}");
        assert!(refused.insert(anonymous(&operation)), "listed twice: {operation:?}");
    }
    assert!(!refused.is_empty(), "no operation is read from the page's last table");
}

#[test]
fn the_list_for_contract_checkers_is_complete() {
    let text = std::fs::read_to_string(root().join("tests/contract.txt")).expect("the list");
    let operation = |text: &str| {
        let (verb, path) = text.split(" - ").next()?.trim().split_once(" /api/v2")?;
        VERBS.contains(&verb).then(|| anonymous(&(verb.to_owned(), path.to_owned())))
    };
    let outside = text.lines().filter_map(|line| {
        let otherwise = || line.strip_prefix("# Served, but not as the documented API says: ");
        line.strip_prefix("# Served, but not in the documented API: ").or_else(otherwise)
    });
    let required = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let listed: Vec<Operation> = required.chain(outside).map(|line| operation(line).expect(line)).collect();
    let served: BTreeSet<Operation> = served().iter().map(anonymous).collect();
    assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), served);
    assert_eq!(listed.len(), served.len(), "an operation is listed twice");
}

//! Every field of every message, over gRPC: each gets the ends of its type and texts that are no ids and no names.

use std::collections::BTreeMap;

use orgplane_proto::FILE_DESCRIPTOR_SET;
use orgplane_tests::deployment::PASSWORD;
use orgplane_tests::world::text;
use orgplane_tests::{Archive, Deployment, Rest, Session};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};
use serde_json::json;
use tonic::Code;

use super::Watch;

/// Texts that nothing may be named by.
fn texts() -> Vec<String> {
    let fixed = [
        "..",
        ".",
        "/",
        "../../etc/passwd",
        "%2e%2e",
        "a\0b",
        "\u{202e}evil",
        "a\u{200b}b",
        "\u{430}dmin\u{0}",
        " default",
        "default ",
        "new",
        "{00000000-0000-0000-0000-000000000000}",
        "00000000-0000-0000-0000-000000000000",
        "11111111-2222-4333-8444-555555555555",
        "'; DROP TABLE file; --",
        "-1",
        "\u{feff}x",
    ];
    let mut texts: Vec<String> = fixed.into_iter().map(str::to_owned).collect();
    texts.push("x".repeat(2_000_000));
    texts
}

fn values(field: &FieldDescriptor) -> Vec<Value> {
    match field.kind() {
        Kind::String => texts().into_iter().map(Value::String).collect(),
        Kind::Bytes => vec![Value::Bytes(vec![0xff; 300_000].into())],
        Kind::Int32 => [i32::MIN, -1, i32::MAX].map(Value::I32).to_vec(),
        Kind::Int64 => [i64::MIN, -1, i64::MAX].map(Value::I64).to_vec(),
        Kind::Uint32 => vec![Value::U32(u32::MAX)],
        Kind::Uint64 => vec![Value::U64(u64::MAX)],
        Kind::Enum(_) => [-1, 99, i32::MAX].map(Value::EnumNumber).to_vec(),
        Kind::Message(inner) => {
            variants(&inner, &BTreeMap::new()).into_iter().map(|(_, m)| Value::Message(m)).collect()
        }
        _ => Vec::new(),
    }
}

/// The message with one field at a time made bad; the others are what `given` has for their names.
fn variants(kind: &MessageDescriptor, given: &BTreeMap<&str, String>) -> Vec<(String, DynamicMessage)> {
    let mut base = DynamicMessage::new(kind.clone());
    for field in kind.fields().filter(|field| matches!(field.kind(), Kind::String) && !field.is_list()) {
        if let Some(value) = given.get(field.name()) {
            base.set_field(&field, Value::String(value.clone()));
        }
    }
    let mut all = vec![("nothing else".to_owned(), base.clone())];
    for field in kind.fields() {
        if field.is_map() {
            continue;
        }
        for value in values(&field) {
            let mut message = base.clone();
            let shown: String = format!("{} = {value:?}", field.name()).chars().take(100).collect();
            message.set_field(&field, if field.is_list() { Value::List(vec![value]) } else { value });
            all.push((shown, message));
        }
    }
    all
}

/// Objects that exist, by the names that fields have for them.
async fn objects(deployment: &Deployment, owner: &Rest) -> BTreeMap<&'static str, String> {
    let organization = owner.organization("data-platform").await;
    let key = owner.key(&organization, "key", json!({})).await;
    let _daemon = Session::obedient(deployment, &key, "one").await;
    let template = owner.template(&organization, "one", Archive::terraform("hello"), "terraform").await;
    let workspace = owner.workspace("dev", &template).await;
    let build = text(&workspace["latest_build"], "id");
    owner.built(&build, orgplane_tests::LONG).await;
    BTreeMap::from([
        ("organization", organization),
        ("user", "owner".to_owned()),
        ("template", text(&template, "id")),
        ("template_name", "one".to_owned()),
        ("template_version", text(&template, "active_version_id")),
        ("workspace", text(&workspace, "id")),
        ("workspace_name", "dev".to_owned()),
        ("workspace_build", build),
    ])
}

#[tokio::test]
async fn no_field_of_any_message_breaks_the_server() {
    let mut deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let mut given = objects(&deployment, &owner).await;
    let api = deployment.grpc(Some(owner.token())).await;
    let watch = Watch::begin(&mut deployment).await;
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    let mut asked = 0;
    for method in pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        // What would make or end something lacks what it needs for that.
        let changes = ["Create", "Delete", "Cancel", "Logout"].iter().any(|verb| method.name().starts_with(verb));
        if method.name() == "Logout" {
            continue;
        }
        let nothing = BTreeMap::new();
        for (shown, message) in variants(&method.input(), if changes { &nothing } else { &given }) {
            let answer = api.call(&path, vec![message.encode_to_vec()]).await;
            if let Err(status) = answer {
                let wrong = [Code::Internal, Code::Unknown, Code::DataLoss, Code::Unavailable].contains(&status.code());
                assert!(!wrong, "{path}: {shown}: {status:?}");
                assert!(!status.message().is_empty(), "{path}: {shown}: {status:?}");
                assert!(!status.message().contains(PASSWORD) && status.message().len() < 4096, "{path}: {shown}");
            }
            asked += 1;
        }
    }
    given.clear();
    assert!(asked > 500, "only {asked} calls were made");
    watch.end(&mut deployment).await;
}

use orgplane_proto::provisioner::v1::CreateProvisionerKeyRequest;
use orgplane_proto::template::v1::CreateTemplateRequest;
use orgplane_proto::workspace::v1::{CreateWorkspaceBuildRequest, CreateWorkspaceRequest};

use super::*;

fn fault<T: DeserializeOwned + Default>(text: impl AsRef<[u8]>) -> Error {
    let error = parse::<T>(&Bytes::copy_from_slice(text.as_ref())).err().expect("it should be refused");
    assert_eq!(error.status(), StatusCode::BAD_REQUEST);
    let detail = &error.body().detail;
    for leak in ["struct", "i32", "i64", "Request", "sequence"] {
        assert!(!detail.contains(leak), "{detail} has {leak}");
    }
    error
}

#[test]
fn members() {
    let cases = [
        (r#"{"name": 5}"#, "name", "expected a string, got an integer"),
        (r#"{"name": 5.5}"#, "name", "expected a string, got a fraction"),
        (r#"{"name": true}"#, "name", "expected a string, got a boolean"),
        (r#"{"name": []}"#, "name", "expected a string, got an array"),
        (r#"{"name": {}}"#, "name", "expected a string, got an object"),
        (r#"{"tags": []}"#, "tags", "expected an object, got an array"),
        (r#"{"tags": "secret"}"#, "tags", "expected an object, got a string"),
        (r#"{"tags": {"region": 1}}"#, "tags.region", "expected a string, got an integer"),
    ];
    for (text, field, detail) in cases {
        let error = fault::<CreateProvisionerKeyRequest>(text);
        assert_eq!(error.body().detail, format!("{field}: {detail}"), "{text}");
        assert_eq!(error.body().validations[0].field, field);
        assert_eq!(error.body().validations[0].detail, detail);
    }
    let error = fault::<CreateTemplateRequest>(r#"{"default_ttl_ms": "1h"}"#);
    assert_eq!(error.body().detail, "default_ttl_ms: expected an integer, got a string");
    let error = fault::<CreateTemplateRequest>(r#"{"default_ttl_ms": 99999999999999999999}"#);
    assert_eq!(error.body().validations[0].field, "default_ttl_ms");
    let error = fault::<CreateTemplateRequest>(r#"{"require_active_version": "yes"}"#);
    assert_eq!(error.body().detail, "require_active_version: expected a boolean, got a string");
    let error = fault::<CreateWorkspaceRequest>(r#"{"rich_parameter_values": [{"name": "a"}, {"name": 1}]}"#);
    assert_eq!(error.body().validations[0].field, "rich_parameter_values[1].name");
    // Neither is an array an object further in.
    let error = fault::<CreateWorkspaceRequest>(r#"{"rich_parameter_values": [["a", "b"]]}"#);
    assert_eq!(error.body().detail, "rich_parameter_values[0]: expected an object, got an array");
    let error = fault::<CreateWorkspaceBuildRequest>(r#"{"transition": "explode"}"#);
    assert_eq!(error.body().detail, "transition: \"explode\" is not one of: start, stop, delete");
    let error = fault::<CreateWorkspaceBuildRequest>(r#"{"state": "%%"}"#);
    assert_eq!(error.body().detail, "state: not base64");
}

#[test]
fn bad_texts() {
    let deep = format!("{{\"name\": {}", "[".repeat(100_000));
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (b"".to_vec(), "empty"),
        (b" \r\n\t".to_vec(), "empty"),
        (b"{".to_vec(), "EOF"),
        (b"{\"name\": \"a\"".to_vec(), "EOF"),
        (b"[]".to_vec(), "got an array"),
        (br#"["name"]"#.to_vec(), "got an array"),
        (b"\"text\"".to_vec(), "got a string"),
        (b"5".to_vec(), "got an integer"),
        (b"true".to_vec(), "got a boolean"),
        (b"name=a".to_vec(), "expected"),
        (br#"{"name": "a"} {"name": "b"}"#.to_vec(), "trailing"),
        (br#"{"name": "a"}garbage"#.to_vec(), "trailing"),
        (b"\xef\xbb\xbf{}".to_vec(), "expected value"),
        (br#"{"name": "\ud800"}"#.to_vec(), "hex escape"),
        (br#"{"name": "\udc00"}"#.to_vec(), "hex escape"),
        (b"{\"name\": \"\xff\"}".to_vec(), "unicode"),
        (b"{\"name\": \"a\0b\"}".to_vec(), "control character"),
        (br#"{"name": "a\u0000b"}"#.to_vec(), "NUL"),
        (br#"{"name": "a", "name": "b"}"#.to_vec(), "duplicate"),
        (br#"{"name": NaN}"#.to_vec(), "expected"),
        (br#"{'name': 'a'}"#.to_vec(), "key must be a string"),
        (br#"{"name": "a",}"#.to_vec(), "trailing comma"),
        (deep.into_bytes(), "expected a string, got an array"),
    ];
    for (text, wanted) in cases {
        let error = fault::<CreateProvisionerKeyRequest>(&text);
        let detail = &error.body().detail;
        assert!(detail.contains(wanted), "{:?}: {detail}", String::from_utf8_lossy(&text[..text.len().min(60)]));
    }
}

#[test]
fn what_is_accepted() {
    let read = |text: &str| parse::<CreateProvisionerKeyRequest>(&Bytes::copy_from_slice(text.as_bytes())).unwrap();
    assert_eq!(read("{}"), CreateProvisionerKeyRequest::default());
    assert_eq!(read(" null "), CreateProvisionerKeyRequest::default());
    assert_eq!(read(r#"{"name": null, "tags": null, "unknown": {"a": [1]}}"#), CreateProvisionerKeyRequest::default());
    assert_eq!(read(r#"{"name": "a\\u0000"}"#).name, "a\\u0000");
    assert_eq!(read(r#"{"name": "\ud83d\ude00"}"#).name, "😀");
    // The organization is the path's alone.
    assert_eq!(read(r#"{"name": "a", "organization": "b"}"#).organization, "");
    // What is ignored is skipped without recursion.
    let deep_unknown = format!("{{\"unknown\": {}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(read(&deep_unknown), CreateProvisionerKeyRequest::default());
}

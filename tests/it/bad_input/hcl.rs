//! Templates that no engine can make anything of: each ends its job with an error that says so.

use orgplane_tests::world::text;
use orgplane_tests::{Archive, Daemon, Databases, Deployment, LONG};
use serde_json::json;

use super::Watch;

fn templates() -> Vec<(&'static str, Vec<u8>, bool)> {
    let deep = |depth: usize| format!("locals {{\n  a = {}1{}\n}}\n", "(".repeat(depth), ")".repeat(depth));
    let module = |source: &str| format!("module \"a\" {{\n  source = \"{source}\"\n}}\n").into_bytes();
    vec![
        ("a heredoc without an end", b"locals {\n  a = <<EOT\nnever closed\n".to_vec(), false),
        ("a block without an end", b"locals {".to_vec(), false),
        ("no UTF-8", b"locals {\n  a = \"\xff\xfe\"\n}\n".to_vec(), false),
        ("NUL", b"locals {\n  a = \0\n}\n".to_vec(), false),
        ("great depth", deep(20_000).into_bytes(), false),
        ("a variable twice", b"variable \"a\" {}\nvariable \"a\" {}\n".to_vec(), false),
        ("a module that can't be had", module("git::https://127.0.0.1:9/none.git"), false),
        ("a module outside", module("../../../../etc"), false),
        ("a module of itself", module("./"), false),
        ("a provider that doesn't exist", b"terraform {\n  required_providers {\n    a = { source = \"127.0.0.1:9/a/a\" }\n  }\n}\nresource \"a_b\" \"c\" {}\n".to_vec(), false),
        ("carriage returns", b"locals {\r\n  a = 1\r\n}\r\n".to_vec(), true),
        ("a byte order mark", b"\xef\xbb\xbflocals {}\n".to_vec(), true),
        ("a line of a megabyte", format!("locals {{\n  a = \"{}\"\n}}\n", "x".repeat(1 << 20)).into_bytes(), true),
        ("a very long number", format!("locals {{\n  a = {}\n}}\n", "9".repeat(10_000)).into_bytes(), false),
    ]
}

#[tokio::test]
async fn hopeless_templates_end_with_an_error() {
    if !orgplane_tests::terraform() {
        return;
    }
    let mut deployment = Deployment::on(Databases::Sqlite).start().await;
    let owner = deployment.rest().first_user().await;
    let organization = owner.default_organization().await;
    let key = owner.key(&organization, "key", json!({})).await;
    let mut daemon = Daemon::start_with(&deployment, "one", &key, "terraform", &["--capacity", "2"]);
    let watch = Watch::begin(&mut deployment).await;
    let memory = daemon.process().memory();
    let mut imports = Vec::new();
    for (what, main, good) in templates() {
        let tar = Archive::default().file("main.tf", &main).finish();
        let version = owner.import(&organization, tar, "terraform", json!({})).await;
        imports.push((what, text(&version, "id"), good));
    }
    for (what, version, good) in imports {
        let version = owner.imported(&version, LONG).await;
        let status = text(&version["job"], "status");
        eprintln!("{what}: {status}: {}", version["job"]["error"]);
        assert_eq!(status, if good { "succeeded" } else { "failed" }, "{what}: {version}");
        assert_eq!(version["job"]["error"].as_str().unwrap_or_default().is_empty(), good, "{what}: {version}");
    }
    assert!(daemon.process().is_running());
    assert!(!daemon.process().stderr().contains("panicked"), "{}", daemon.process().output());
    let grown = daemon.process().memory().saturating_sub(memory);
    assert!(grown < super::GROWTH, "the daemon grew by {grown} bytes");
    watch.end_with_rows(&mut deployment);
}

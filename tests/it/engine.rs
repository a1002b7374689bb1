//! The Terraform engine's hard edges, with the whole product around it.

use orgplane_tests::world::{outputs, text};
use orgplane_tests::{Archive, Daemon, Deployment, LONG, terraform};
use serde_json::json;

/// A program in the place of Terraform: a shell script that may end with Terraform itself.
fn stand_in(folder: &std::path::Path, script: &str) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.join("stand-in");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\nexec terraform \"$@\"\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn builds_use_what_the_import_locked() {
    if !terraform() {
        return;
    }
    let deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let organization = owner.organization("data-platform").await;
    let key = owner.key(&organization, "key", json!({})).await;
    let folder = tempfile::tempdir().unwrap();
    // It chooses another provider each time that it isn't told which.
    let script = "if [ \"$1\" = init ]; then\n  [ -f .terraform.lock.hcl ] || echo \"# chosen by $$\" >.terraform.lock.hcl\n  \
        cat .terraform.lock.hcl\nfi";
    let program = stand_in(folder.path(), script);
    let _daemon = Daemon::start_with(&deployment, "one", &key, "terraform", &["--terraform-path", &program]);
    let template = owner.template(&organization, "hello", Archive::terraform("hello"), "terraform").await;
    let chosen = |logs: String| logs.lines().find(|line| line.starts_with("# chosen by ")).map(str::to_owned);
    let version = text(&template, "active_version_id");
    let at_import = chosen(outputs(&owner.logs(&format!("/api/v2/templateversions/{version}")).await));
    assert!(at_import.is_some());
    let workspace = owner.workspace("dev", &template).await;
    let build = text(&workspace["latest_build"], "id");
    assert_eq!(owner.built(&build, LONG).await["status"], "running");
    assert_eq!(chosen(outputs(&owner.logs(&format!("/api/v2/workspacebuilds/{build}")).await)), at_import);
}

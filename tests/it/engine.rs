//! The Terraform engine's hard edges, with the whole product around it.

use std::path::{Path, PathBuf};

use orgplane_tests::daemon::daemon_command;
use orgplane_tests::world::{outputs, text};
use orgplane_tests::{Archive, Daemon, Deployment, LONG, Rest, present, terraform, terraforms};
use serde_json::{Value, json};

/// A program in the place of Terraform: a shell script that may end with Terraform itself.
fn stand_in(folder: &Path, script: &str) -> String {
    let path = folder.join("stand-in");
    write_program(&path, &format!("{script}\nexec terraform \"$@\"\n"));
    path.to_str().unwrap().to_owned()
}

fn write_program(path: &Path, script: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn builds_use_what_the_import_locked() {
    if !terraform() {
        return;
    }
    let deployment = Deployment::start().await;
    let (owner, organization, key) = deployment.furnished().await;
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

/// A deployment with an organization and a key of it.
async fn deployed() -> (Deployment, Rest, String, String) {
    let deployment = Deployment::start().await;
    let (owner, organization, key) = deployment.furnished().await;
    (deployment, owner, organization, key)
}

/// The first build of a workspace of this template, which fails; and its state.
async fn failed_build(owner: &Rest, organization: &str, main: &str) -> (Value, Value, String) {
    let tar = Archive::default().file("main.tf", main.as_bytes()).finish();
    let template = owner.template(organization, "bad", tar, "terraform").await;
    let workspace = owner.workspace("dev", &template).await;
    let build = owner.built(&text(&workspace["latest_build"], "id"), LONG).await;
    assert_eq!(build["job"]["status"], "failed", "{build}");
    let state = owner.get(&format!("/api/v2/workspacebuilds/{}/state", text(&build, "id"))).await.text();
    (workspace, build, state)
}

#[tokio::test]
async fn a_killed_terraform_fails_the_build_and_keeps_the_state() {
    for program in terraforms() {
        let (deployment, owner, organization, key) = deployed().await;
        let _daemon = Daemon::start_with(&deployment, "one", &key, "terraform", &["--terraform-path", program]);
        // The shell's parent is Terraform.
        let main = r#"
            resource "terraform_data" "first" { input = "kept" }
            resource "terraform_data" "second" {
              depends_on = [terraform_data.first]
              provisioner "local-exec" { command = "kill -9 $PPID; sleep 300" }
            }
        "#;
        let (workspace, build, state) = failed_build(&owner, &organization, main).await;
        let error = text(&build["job"], "error");
        for words in ["apply was killed by signal 9", "out of memory", "may exist", "terraform_data.second"] {
            assert!(error.contains(words), "{program}: {words:?} isn't in {error:?}");
        }
        // OpenTofu writes its state every 20 seconds and at its end only, so what it did before is lost with it.
        assert!(program == "tofu" || state.contains("kept"), "{program}: {state}");
        let deleted = owner.build(&workspace, "delete").await;
        assert_eq!(owner.built(&text(&deleted, "id"), LONG).await["status"], "deleted", "{program}");
    }
}

/// A folder of providers with one that ends at once; the file that tells Terraform of it.
fn mirror_of_a_broken_provider(folder: &Path) -> PathBuf {
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let place = folder.join("mirror/example.com/acme/broken/1.0.0").join(format!("linux_{arch}"));
    std::fs::create_dir_all(&place).unwrap();
    write_program(&place.join("terraform-provider-broken_v1.0.0"), "exit 1");
    let file = folder.join("terraform.rc");
    let mirror = folder.join("mirror");
    let text = format!("provider_installation {{\n  filesystem_mirror {{\n    path = {mirror:?}\n  }}\n}}\n");
    std::fs::write(&file, text).unwrap();
    file
}

#[tokio::test]
async fn a_broken_provider_is_named_in_the_error() {
    for program in terraforms() {
        let (deployment, owner, organization, key) = deployed().await;
        let folder = tempfile::tempdir().unwrap();
        let mut command = daemon_command(deployment.url(), folder.path(), "one", &key, "terraform");
        command.args(["--terraform-path", program]);
        command.env("TF_CLI_CONFIG_FILE", mirror_of_a_broken_provider(folder.path()));
        let _daemon = Daemon::run(folder, "one", &mut command);
        let main = r#"
            terraform {
              required_providers {
                broken = { source = "example.com/acme/broken" }
              }
            }
            resource "broken_thing" "x" {}
        "#;
        let tar = Archive::default().file("main.tf", main.as_bytes()).finish();
        let version = text(&owner.import(&organization, tar, "terraform", json!({})).await, "id");
        let version = owner.imported(&version, LONG).await;
        assert_eq!(version["job"]["status"], "failed", "{program}: {version}");
        let error = text(&version["job"], "error");
        assert!(error.contains("plugin crashed"), "{program}: no advice: {error}");
        let logs = outputs(&owner.logs(&format!("/api/v2/templateversions/{}", text(&version, "id"))).await);
        assert!(error.contains("acme/broken") || logs.contains("acme/broken"), "{program}: {error}\n{logs}");
    }
}

/// Takes the small disk away again.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn mount_small_disk(at: &Path) -> bool {
    std::fs::create_dir(at).unwrap();
    let mut command = std::process::Command::new("mount");
    command.args(["-t", "tmpfs", "-o", "size=4m,mode=0700", "orgplane-test"]).arg(at);
    nix::unistd::geteuid().is_root() && command.status().is_ok_and(|status| status.success())
}

#[tokio::test]
async fn a_full_disk_fails_the_build_with_advice() {
    if !terraform() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let work = folder.path().join("work");
    if !present("root", mount_small_disk(&work)) {
        return;
    }
    let unmounted = Mounted(work);
    let (deployment, owner, organization, key) = deployed().await;
    let mut command = daemon_command(deployment.url(), folder.path(), "one", &key, "terraform");
    let _daemon = Daemon::run(folder, "one", &mut command);
    // Gone before the daemon's folder is.
    let _unmounted = unmounted;
    let main = r#"
        resource "terraform_data" "first" { input = "kept" }
        resource "terraform_data" "second" {
          depends_on = [terraform_data.first]
          provisioner "local-exec" { command = "cat /dev/zero > filler || true" }
        }
        resource "terraform_data" "third" {
          depends_on = [terraform_data.second]
          input      = "x"
        }
    "#;
    let (workspace, build, state) = failed_build(&owner, &organization, main).await;
    let error = text(&build["job"], "error");
    assert!(error.to_lowercase().contains("no space left on device") && error.contains("--work-dir"), "{error}");
    assert!(state.contains("kept"), "{state}");
    // The job's folder is gone, and with it what filled the disk.
    let deleted = owner.build(&workspace, "delete").await;
    assert_eq!(owner.built(&text(&deleted, "id"), LONG).await["status"], "deleted");
}

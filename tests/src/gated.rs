//! A Terraform that a test can hold at each of its commands, and a template whose resources tell when they are made and
//! destroyed. Only one workspace of it may be there at a time.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::archive::Archive;
use crate::wait::{LONG, eventually};

/// In Terraform's place: says which command it is at, and holds it for as long as it is told to.
const PROGRAM: &str = r#"#!/bin/sh
: > "GATES/at-$1"
while [ -e "GATES/hold-$1" ]; do sleep 0.05; done
exec terraform "$@"
"#;

/// Three resources, one after the other. The second, whose gate is `resource`, is silent while it is held.
const TEMPLATE: &str = r#"
    resource "terraform_data" "first" {
      provisioner "local-exec" { command = "echo first >> GATES/made; : > GATES/stands-first" }
      provisioner "local-exec" {
        when    = destroy
        command = "rm GATES/stands-first"
      }
    }
    resource "terraform_data" "second" {
      depends_on = [terraform_data.first]
      provisioner "local-exec" {
        command = <<-DO
          echo second >> GATES/made; : > GATES/stands-second; echo begins; : > GATES/at-resource
          while [ -e GATES/hold-resource ]; do sleep 0.05; done; echo ends
        DO
      }
      provisioner "local-exec" {
        when    = destroy
        command = "rm GATES/stands-second"
      }
    }
    resource "terraform_data" "third" {
      depends_on = [terraform_data.second]
      provisioner "local-exec" { command = "echo third >> GATES/made; : > GATES/stands-third" }
      provisioner "local-exec" {
        when    = destroy
        command = "rm GATES/stands-third"
      }
    }
"#;

/// The template's resources, in the order in which they are made.
pub const RESOURCES: [&str; 3] = ["first", "second", "third"];

/// The gates: the commands of Terraform, and `resource`.
#[derive(Debug)]
pub struct Gates(TempDir);

impl Gates {
    /// All of them open.
    ///
    /// # Panics
    /// When they can't be written.
    #[must_use]
    pub fn open() -> Self {
        let gates = Self(tempfile::Builder::new().prefix("orgplane-gates-").tempdir().expect("a temporary folder"));
        let program = gates.program();
        std::fs::write(&program, gates.placed(PROGRAM)).expect("a program");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("a program");
        gates
    }

    /// What `--terraform-path` takes.
    #[must_use]
    pub fn program(&self) -> PathBuf {
        self.0.path().join("terraform")
    }

    /// Where they stand.
    #[must_use]
    pub fn place(&self) -> &Path {
        self.0.path()
    }

    /// The template's archive.
    #[must_use]
    pub fn template(&self) -> Vec<u8> {
        Archive::default().file("main.tf", self.placed(TEMPLATE).as_bytes()).finish()
    }

    fn placed(&self, text: &str) -> String {
        text.replace("GATES", self.place().to_str().expect("a UTF-8 path"))
    }

    /// Closes a gate.
    ///
    /// # Panics
    /// When it can't.
    pub fn hold(&self, gate: &str) {
        let _ = std::fs::remove_file(self.place().join(format!("at-{gate}")));
        std::fs::write(self.place().join(format!("hold-{gate}")), "").expect("a gate");
    }

    /// Opens a gate, if it is closed.
    pub fn release(&self, gate: &str) {
        let _ = std::fs::remove_file(self.place().join(format!("hold-{gate}")));
    }

    /// Waits until somebody stands at a gate.
    pub async fn at(&self, gate: &str) {
        let path = self.place().join(format!("at-{gate}"));
        eventually(&path.display().to_string(), LONG, async || path.exists().then_some(())).await;
    }

    /// Which resources were made since the last [`Self::forget`], each as often as it was.
    #[must_use]
    pub fn made(&self) -> Vec<String> {
        let made = std::fs::read_to_string(self.place().join("made")).unwrap_or_default();
        made.lines().map(str::to_owned).collect()
    }

    /// Which stand: they were made, and not destroyed.
    #[must_use]
    pub fn standing(&self) -> BTreeSet<String> {
        let stands = |name: &&str| self.place().join(format!("stands-{name}")).exists();
        RESOURCES.into_iter().filter(stands).map(str::to_owned).collect()
    }

    /// Forgets what was made and what stands.
    pub fn forget(&self) {
        let _ = std::fs::remove_file(self.place().join("made"));
        for name in RESOURCES {
            let _ = std::fs::remove_file(self.place().join(format!("stands-{name}")));
        }
    }
}

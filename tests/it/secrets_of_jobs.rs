//! What a template's commands find when they look around: in their environment, in all processes, in the files of the
//! daemon and of a job beside theirs.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;

use orgplane_tests::daemon::{daemon_command, keyless_command};
use orgplane_tests::world::{outputs, text};
use orgplane_tests::{Archive, Daemon, Deployment, LONG, Rest, eventually, present, terraform};
use serde_json::{Value, json};

/// Has a secret, and keeps it for as long as it is told: in its variables, its state, and a command's environment.
const HELD: &str = r#"
variable "held" { sensitive = true }
resource "terraform_data" "first" { input = var.held }
resource "terraform_data" "second" {
  depends_on = [terraform_data.first]
  provisioner "local-exec" {
    command     = "touch SEEN/begun; until [ -e SEEN/enough ]; do sleep 0.1; done"
    environment = { HELD = var.held }
  }
}
"#;

/// Prints its environment, and of each ancestor what it finds there; keeps what all processes and the files show.
const SPY: &str = r"
look() {
  echo I am $(id -u)
  env
  pid=$$
  while :; do
    for file in environ cmdline; do
      if found=$(tr '\0' '\n' </proc/$pid/$file); then echo $file of $pid: $found; else echo $file of $pid: refused; fi
    done
    [ $pid -gt 1 ] || break
    pid=$(sed -n 's/^PPid:[[:space:]]*//p' /proc/$pid/status)
  done
}
look 2>SEEN/errors | tee SEEN/printed
cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline >SEEN/processes 2>>SEEN/errors
find . FOLDER -type f -exec cat {} + >SEEN/files 2>>SEEN/errors
true
";

const FOREIGN: &str = "canary-of-the-daemons-environment";
const CANARY: &str = "canary-of-the-other-job";
/// Accounts that this machine doesn't have.
const ENGINE_USERS: &str = "3000020-3000021";
const DAEMON_USER: u32 = 3_000_030;

#[derive(Debug, Clone, Copy, PartialEq)]
enum KeyBy {
    Environment,
    File,
}

/// What a template has found.
struct Found {
    /// In its log.
    printed: String,
    /// In the environments and arguments of all processes.
    processes: String,
    /// In all files of the daemon.
    files: String,
    /// What it was refused.
    errors: String,
    key: String,
    token: String,
    daemon: i32,
}

impl Found {
    /// Nothing of what no template may have, whoever it runs as.
    fn assert_clean(&self) {
        for (what, found) in [("printed", &self.printed), ("processes", &self.processes), ("files", &self.files)] {
            assert!(!found.contains(&self.token), "{what}: a session token: {found}");
            assert!(!found.contains(FOREIGN), "{what}: the daemon's environment: {found}");
        }
        for (what, found) in [("printed", &self.printed), ("processes", &self.processes)] {
            assert!(!found.contains(&self.key), "{what}: the key: {found}");
        }
        let ancestor = format!("environ of {}: refused", self.daemon);
        assert!(self.printed.contains(&ancestor), "the daemon isn't among those that it can't read: {}", self.printed);
        assert!(self.printed.contains("environ of 1: "), "it didn't get to the first process: {}", self.printed);
    }
}

fn open_folder(prefix: &str, mode: u32) -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix(prefix).tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
    folder
}

/// A daemon with more in its environment than templates may have. Without engine users it isn't root.
fn daemon(deployment: &Deployment, owner: &Rest, key: &str, by: KeyBy, engine_users: Option<&str>) -> Daemon {
    let folder = open_folder("orgplane-daemon-", 0o755);
    let mut command = match by {
        KeyBy::File => daemon_command(deployment.url(), folder.path(), "one", key, "terraform"),
        KeyBy::Environment => {
            let mut command = keyless_command(deployment.url(), folder.path(), "one", "terraform");
            command.env("ORGPLANE_PROVISIONER_DAEMON_KEY", key);
            command
        }
    };
    command.args(["--capacity", "2"]).env("FOREIGN_SECRET", FOREIGN).env("TF_VAR_foreign", FOREIGN);
    command.env("ORGPLANE_FOREIGN", FOREIGN).env("CODER_SESSION_TOKEN", owner.token());
    match engine_users {
        Some(users) => {
            command.args(["--engine-user", users]);
        }
        None if nix::unistd::geteuid().is_root() => {
            command = as_user(&command, folder.path(), DAEMON_USER);
        }
        None => {}
    }
    Daemon::run(folder, "one", &mut command)
}

/// The same by another user, to whom everything in the folder is given, and a copy of the program.
fn as_user(command: &std::process::Command, folder: &Path, user: u32) -> std::process::Command {
    let program = folder.join("orgplane");
    fs::copy(command.get_program(), &program).unwrap();
    let mut other = std::process::Command::new(program);
    other.args(command.get_args()).uid(user).gid(user).env("HOME", folder).current_dir(folder);
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => other.env(name, value),
            None => other.env_remove(name),
        };
    }
    for entry in fs::read_dir(folder).unwrap() {
        chown(entry.unwrap().path(), Some(user), Some(user)).unwrap();
    }
    chown(folder, Some(user), Some(user)).unwrap();
    other
}

/// Runs a template that looks around, beside another that has a secret.
async fn look_around(by: KeyBy, engine_users: Option<&str>) -> Found {
    let deployment = Deployment::start().await;
    let (owner, organization, key) = deployment.furnished().await;
    let mut daemon = daemon(&deployment, &owner, &key, by, engine_users);
    let seen = open_folder("orgplane-seen-", 0o777);
    let place = |text: &str| {
        let text = text.replace("SEEN", seen.path().to_str().unwrap());
        text.replace("FOLDER", daemon.folder().to_str().unwrap())
    };

    let held = template_with_secret(&owner, &organization, &place(HELD)).await;
    let held = owner.workspace("held", &held).await;
    let main = "resource \"terraform_data\" \"spy\" {\n  provisioner \"local-exec\" {\n    \
                command = \"sh ${path.module}/spy.sh\"\n  }\n}\n";
    let tar = Archive::default().file("main.tf", main.as_bytes()).file("spy.sh", place(SPY).as_bytes()).finish();
    let spy = owner.template(&organization, "spy", tar, "terraform").await;
    eventually("the job beside it", LONG, async || seen.path().join("begun").exists().then_some(())).await;
    let spy = owner.workspace("spy", &spy).await;
    let spy = owner.built(&text(&spy["latest_build"], "id"), LONG).await;
    assert_eq!(spy["status"], "running", "{spy}");
    let held = format!("/api/v2/workspacebuilds/{}", text(&held["latest_build"], "id"));
    assert_eq!(owner.get(&held).await.expect(200)["job"]["status"], "running", "it wasn't beside it all the time");
    fs::write(seen.path().join("enough"), "").unwrap();
    let id = held.rsplit('/').next().unwrap();
    assert_eq!(owner.built(id, LONG).await["status"], "running");

    let printed = outputs(&owner.logs(&format!("/api/v2/workspacebuilds/{}", text(&spy, "id"))).await);
    let kept = |name: &str| String::from_utf8_lossy(&fs::read(seen.path().join(name)).unwrap()).into_owned();
    for line in kept("printed").lines().filter(|line| line.starts_with("environ of")) {
        assert!(printed.contains(line), "the log hasn't what was printed: {line}");
    }
    Found {
        printed,
        processes: kept("processes"),
        files: kept("files"),
        errors: kept("errors"),
        key,
        token: owner.token().to_owned(),
        daemon: daemon.process().pid().as_raw(),
    }
}

async fn template_with_secret(owner: &Rest, organization: &str, main: &str) -> Value {
    let file = owner.upload(Archive::default().file("main.tf", main.as_bytes()).finish()).await;
    let body = json!({
        "storage_method": "file", "file_id": file.body["hash"], "provisioner": "terraform", "tags": {},
        "user_variable_values": [{"name": "held", "value": CANARY}],
    });
    let path = format!("/api/v2/organizations/{organization}");
    let version = owner.post(&format!("{path}/templateversions"), body).await.expect(201);
    let version = owner.imported(&text(&version, "id"), LONG).await;
    assert_eq!(version["job"]["status"], "succeeded", "{version}");
    let body = json!({"name": "held", "template_version_id": version["id"]});
    owner.post(&format!("{path}/templates"), body).await.expect(201)
}

#[tokio::test]
async fn with_engine_users_a_template_finds_nothing() {
    if !terraform() || !present("root", nix::unistd::geteuid().is_root()) {
        return;
    }
    for by in [KeyBy::Environment, KeyBy::File] {
        let found = look_around(by, Some(ENGINE_USERS)).await;
        found.assert_clean();
        assert!(!found.files.contains(&found.key), "{by:?}: the key is in a file that it reads");
        for (what, seen) in [("log", &found.printed), ("processes", &found.processes), ("files", &found.files)] {
            assert!(!seen.contains(CANARY), "{by:?}: {what}: it finds the other job's secret");
        }
        assert!(found.printed.contains("I am 300002"), "{}", found.printed);
        assert!(found.errors.contains("Permission denied"), "it was refused nothing: {}", found.errors);
        assert!(found.files.contains("look 2>"), "it hasn't even found its own files");
    }
}

#[tokio::test]
async fn without_engine_users_it_finds_what_the_documents_say() {
    if !terraform() {
        return;
    }
    for by in [KeyBy::Environment, KeyBy::File] {
        let found = look_around(by, None).await;
        found.assert_clean();
        // What shares a user shares its files; so these are what a daemon of one's own, and engine users, are for.
        assert_eq!(found.files.contains(&found.key), by == KeyBy::File, "{by:?}");
        assert!(found.files.contains(CANARY) && found.processes.contains(CANARY), "{by:?}: nothing was looked at");
    }
}

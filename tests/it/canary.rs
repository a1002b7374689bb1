//! Secrets that can be recognised go through a whole story; then everything that is written, shown or stored is searched.

use nix::unistd::Pid;
use orgplane_tests::daemon::daemon_command;
use orgplane_tests::world::text;
use orgplane_tests::{Archive, Databases, Deployment, LONG, Process, eventually, terraform};
use serde_json::json;
use uuid::Uuid;

on_each_database!(no_secret_is_anywhere_else);

/// A secret and what is said when it is found.
struct Canary {
    what: &'static str,
    value: String,
}

impl Canary {
    fn new(what: &'static str, prefix: &str) -> Self {
        Self { what, value: format!("{prefix}{}", Uuid::new_v4().simple()) }
    }

    fn of(what: &'static str, value: &str) -> Self {
        Self { what, value: value.to_owned() }
    }
}

#[track_caller]
fn search(place: &str, bytes: &[u8], canaries: &[Canary]) {
    for Canary { what, value } in canaries {
        let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
        for form in [value, &hex] {
            let found = bytes.windows(form.len()).position(|window| window == form.as_bytes());
            if let Some(at) = found {
                let around = &bytes[at.saturating_sub(200)..(at + form.len() + 50).min(bytes.len())];
                panic!("{what} is in {place}: …{}…", String::from_utf8_lossy(around));
            }
        }
    }
    // Keys that nobody was told, such as those of built-in daemons.
    let key = bytes.windows(48).find(|w| w.starts_with(b"orgp_") && w[5..].iter().all(u8::is_ascii_alphanumeric));
    assert!(key.is_none(), "a provisioner key is in {place}");
}

/// The command lines and environments of a process and all below it.
fn processes(root: Pid) -> Vec<u8> {
    let mut of = vec![root.to_string()];
    let mut all = Vec::new();
    while let Some(pid) = of.pop() {
        for file in ["cmdline", "environ"] {
            all.extend(std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default());
            all.push(b'\n');
        }
        for task in std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            of.extend(children.split_whitespace().map(str::to_owned));
        }
    }
    all
}

fn search_files(folder: &std::path::Path, canaries: &[Canary]) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            search_files(&path, canaries);
        } else if kind.is_file() {
            search(&path.display().to_string(), &std::fs::read(&path).unwrap_or_default(), canaries);
        }
    }
}

const MAIN: &str = r#"
    variable "secret" {
      type      = string
      sensitive = true
    }
    resource "terraform_data" "keeper" {
      input = var.secret
      provisioner "local-exec" { command = "touch started; sleep 2" }
    }
    output "secret" {
      value     = var.secret
      sensitive = true
    }
"#;

async fn no_secret_is_anywhere_else(database: Databases) {
    if !terraform() {
        return;
    }
    let format = if database == Databases::Sqlite { "json" } else { "human" };
    let builder = Deployment::on(database).flag("--provisioner-daemons", "1").flag("--log-format", format);
    let builder = builder.flag("--metrics-address", "127.0.0.1:0").env("ORGPLANE_LOG", "debug");
    let mut deployment = builder.unrecorded().start().await;
    let password = Canary::new("the password", "Right-Password-7-");
    let wrong = Canary::new("a wrong password", "Wrong-Password-7-");
    let variable = Canary::new("the sensitive variable", "variable-");
    let query = Canary::new("a token in a query", "0123456789-");
    let rest = deployment.rest();

    // Sign in, well and badly.
    let first = json!({"email": "owner@example.com", "username": "owner", "password": password.value});
    let _ = rest.post("/api/v2/users/first", first).await.expect(201);
    let login = async |password: &str| {
        rest.post("/api/v2/users/login", json!({"email": "owner@example.com", "password": password})).await
    };
    let mut answers = login(&wrong.value).await.text();
    answers += &rest.post("/api/v2/users/login", json!({"email": 1, "password": wrong.value})).await.text();
    let token = text(&login(&password.value).await.expect(201), "session_token");
    let owner = rest.with(&token);
    let path = format!("/api/v2/users/me?coder_session_token={}", query.value);
    answers += &rest.get(&path).await.text();
    answers += &deployment.rest().with(&query.value).get("/api/v2/organizations").await.text();

    // A key, and a daemon that has it.
    let other = owner.organization("data-platform").await;
    let key = owner.key(&other, "key", json!({})).await;
    // A documented request, whose path is the key.
    owner.get(&format!("/api/v2/provisionerkeys/{key}")).await.refused(404);
    owner.get(&format!("/api/v2/organizations/{other}/provisionerkeys/{key}")).await.refused(405);
    let folder = tempfile::tempdir().unwrap();
    let mut command = daemon_command(deployment.url(), folder.path(), "outside", &key, "echo");
    command.env("ORGPLANE_LOG", "debug").args(["--log-format", format]);
    let mut daemon = Process::start("daemon", &mut command);
    owner.daemon(&other, "outside", "idle").await;

    // A template with a sensitive variable, which is in the state too; a build that runs, and one that fails.
    let organization = owner.default_organization().await;
    let tar = Archive::default().file("main.tf", MAIN.as_bytes()).finish();
    let file = owner.upload(tar).await;
    let version = json!({
        "storage_method": "file", "file_id": file.body["hash"], "provisioner": "terraform",
        "user_variable_values": [{"name": "secret", "value": variable.value}],
    });
    let path = format!("/api/v2/organizations/{organization}/templateversions");
    let version = owner.post(&path, version).await.expect(201);
    let version = owner.imported(&text(&version, "id"), LONG).await;
    assert_eq!(version["job"]["status"], "succeeded", "{version}");
    let template = json!({"name": "keeper", "template_version_id": version["id"]});
    let template = owner.post(&format!("/api/v2/organizations/{organization}/templates"), template).await.expect(201);
    let workspace = owner.workspace("dev", &template).await;
    let build = text(&workspace["latest_build"], "id");
    let canaries = [
        password,
        wrong,
        variable,
        query,
        Canary::of("the session token", token.split_once('-').unwrap().1),
        Canary::of("the provisioner key", &key),
    ];
    let jobs = deployment.folder().join("provisioners/0/jobs");
    eventually("the apply", LONG, async || {
        let work = std::fs::read_dir(&jobs).ok()?.flatten().map(|job| job.path().join("work/started"));
        work.into_iter().any(|started| started.exists()).then_some(())
    })
    .await;
    for (what, root) in [("the server's processes", deployment.process().pid()), ("the daemon's", daemon.pid())] {
        search(what, &processes(root), &canaries);
    }
    assert_eq!(owner.built(&build, LONG).await["job"]["status"], "succeeded");
    assert!(owner.get(&format!("/api/v2/workspacebuilds/{build}/state")).await.text().contains(&canaries[2].value));
    let failing = Archive::default().file("main.tf", b"resource \"nothing\" {").finish();
    let failed = owner.import(&organization, failing, "terraform", json!({})).await;
    let failed = owner.imported(&text(&failed, "id"), LONG).await;
    assert_eq!(failed["job"]["status"], "failed", "{failed}");
    answers += &failed.to_string();
    for path in ["templateversions", "workspacebuilds"] {
        let id = if path == "templateversions" { text(&version, "id") } else { build.clone() };
        answers += &json!(owner.logs(&format!("/api/v2/{path}/{id}")).await).to_string();
        answers += &owner.get(&format!("/api/v2/{path}/{id}")).await.body.to_string();
    }
    let metrics = deployment.process().metrics().await.get("/metrics").await;
    assert_eq!(metrics.status, 200);
    answers += &metrics.text();
    search("an answer", answers.as_bytes(), &canaries);

    // Everything ends, and what is left is searched.
    assert!(daemon.stop().await.success());
    assert!(deployment.stop().await.success());
    for process in [deployment.process(), &mut daemon] {
        let said = process.output();
        assert!(said.contains("DEBUG"), "the log isn't a full one");
        search("a log", said.as_bytes(), &canaries);
        if format == "json" {
            for line in process.stderr().lines() {
                assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "not JSON: {line}");
            }
        }
    }
    search("the database", &deployment.database().dump().await, &canaries);
    search_files(deployment.folder(), &canaries);
    search_files(&folder.path().join("work"), &canaries);
}

//! The commands of members and operators, through the real program: what they print, how they end.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::process::Stdio;

use nix::pty::{OpenptyResult, openpty};
use nix::sys::signal::Signal;
use nix::sys::termios::{LocalFlags, tcgetattr};
use orgplane_proto::provisioner::v1::Outcome;
use orgplane_proto::provisioner::v1::server_message::Message as Heard;
use orgplane_tests::cli::{Cli, run};
use orgplane_tests::{Archive, Daemon, Databases, Deployment, LONG, Process, Rest, SHORT, Session};
use serde_json::{Value, json};

struct Desk {
    deployment: Deployment,
    owner: Rest,
    cli: Cli,
    folder: tempfile::TempDir,
}

impl Desk {
    async fn new() -> Self {
        let deployment = Deployment::on(Databases::Sqlite).unrecorded().start().await;
        let owner = deployment.rest().first_user().await;
        owner.organization("data-platform").await;
        let cli = Cli::new(deployment.url());
        Self { deployment, owner, cli, folder: tempfile::tempdir().unwrap() }
    }

    async fn run(&self, line: &str) -> orgplane_tests::cli::Ended {
        let ended = self.cli.run_as(self.owner.token(), &line.split(' ').collect::<Vec<_>>()).await;
        // Whatever a server or a template says, it doesn't steer the terminal.
        assert!(!ended.stdout.contains('\u{1b}') && !ended.stderr.contains('\u{1b}'), "{line}: {ended:?}");
        ended
    }

    async fn json(&self, line: &str) -> Value {
        let ended = self.run(&format!("{line} -o json")).await;
        serde_json::from_str(ended.ok()).unwrap_or_else(|error| panic!("{line}: {error}: {}", ended.stdout))
    }

    fn start(&self, line: &str) -> Process {
        let mut command = self.cli.command(&line.split(' ').collect::<Vec<_>>());
        command.env("CODER_SESSION_TOKEN", self.owner.token());
        Process::start("cli", &mut command)
    }

    fn template(&self, script: &Value) -> String {
        let folder = self.folder.path().join("hello");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("echo.json"), script.to_string()).unwrap();
        folder.display().to_string()
    }

    async fn daemon(&self) -> Daemon {
        let key = self.owner.key("data-platform", "key", json!({})).await;
        let daemon = Daemon::start(&self.deployment, "one", &key, "echo");
        self.owner.daemon("data-platform", "one", "idle").await;
        daemon
    }
}

#[tokio::test]
async fn a_template_and_a_workspace_from_push_to_delete() {
    let desk = Desk::new().await;
    let _daemon = desk.daemon().await;
    let say = |stage: &str, output: &str| json!({"stage": stage, "output": output});
    let folder = desk.template(&json!({
        "import": {"logs": [say("Parsing", "parsed\u{1b}[2J")]},
        "dry_run": {"logs": [say("Looking", "ahead")], "resources": [{"type": "echo", "name": "foreseen\u{1b}[2J"}]},
        "start": {"logs": [say("Planning", "planned"), say("Applying", "hello \u{1b}]0;title\u{7}")], "apply": true,
            "resources": [{"type": "echo", "name": "thing"}]},
        "stop": {"logs": [say("Stopping", "stopped")], "apply": true},
        "delete": {"logs": [say("Destroying", "gone")], "apply": true},
    }));
    let push = format!("templates push hello --directory {folder} --org data-platform --provisioner echo");
    let unasked = desk.run(&push).await;
    assert_eq!(unasked.code, Some(2), "{unasked:?}");
    assert!(unasked.stderr.contains("--yes"), "{unasked:?}");
    let pushed = desk.run(&format!("{push} --yes --name v1 --message first")).await;
    let version = pushed.ok().trim().to_owned();
    for text in ["1 files (", "==> Parsing", "done", "v1"] {
        assert!(pushed.stderr.contains(text), "{text}: {}", pushed.stderr);
    }
    let shown = owner_get(&desk, &format!("/api/v2/templateversions/{version}")).await;
    assert_eq!((&shown["name"], &shown["message"]), (&json!("v1"), &json!("first")));

    // The next version; not active unless it is to be.
    let second = desk.run(&format!("{push} --yes --name v2 --activate=false")).await;
    assert!(second.ok() != version && second.stderr.contains("isn't the active one"), "{second:?}");
    let template = desk.json("templates show hello --org data-platform").await;
    assert_eq!(template["active_version_id"], json!(version));
    let versions = desk.run("templates versions list hello --org data-platform").await;
    assert!(versions.ok().starts_with("NAME") && versions.ok().lines().count() == 3, "{versions:?}");
    let _ = desk.run("templates versions promote -t hello --template-version v2 --org data-platform").await.ok();
    let list = desk.run("templates list -c name,organization").await;
    assert_eq!(list.ok(), "NAME   ORGANIZATION\nhello  data-platform\n");
    assert_eq!(desk.json("templates list").await, owner_get(&desk, "/api/v2/templates").await);

    let created = desk.run("create first -t hello --yes").await;
    let id = created.ok().trim().to_owned();
    assert!(created.stderr.contains("==> Looking") && created.stderr.contains("echo.foreseen"), "{}", created.stderr);
    assert!(created.stderr.contains("==> Applying") && created.stderr.contains("running"), "{}", created.stderr);
    assert!(!created.stderr.contains("planned"), "stages only: {}", created.stderr);
    let taken = desk.run("create first -t hello --yes").await;
    assert!(taken.failed().contains("already in use"), "{taken:?}");
    assert_eq!(desk.json("show first").await, owner_get(&desk, &format!("/api/v2/workspaces/{id}")).await);
    for name in ["first", "owner/first", "me/FIRST", &id] {
        let shown = desk.run(&format!("show {name}")).await;
        assert!(shown.ok().contains("running") && shown.ok().contains("echo.thing"), "{name}: {shown:?}");
    }
    let list = desk.run("list -c workspace,status").await;
    assert_eq!(list.ok(), "WORKSPACE    STATUS\nowner/first  running\n");
    let all = owner_get(&desk, "/api/v2/workspaces").await;
    assert_eq!(desk.json("list --all").await, all["workspaces"]);
    assert!(desk.run("list --search status:stopped").await.stderr.contains("No workspaces"));

    let again = desk.run("start first").await;
    assert!(again.ok().len() > 30 && again.stderr.contains("already"), "{again:?}");
    let stopped = desk.run("stop first --yes --verbose").await;
    assert!(stopped.ok().len() > 30 && stopped.stderr.contains("    stopped"), "{stopped:?}");
    let build = desk.json("start first").await;
    assert_eq!((&build["status"], &build["reason"]), (&json!("running"), &json!("cli")));
    let logs = desk.run("logs first").await;
    assert!(logs.ok().contains("==> Applying") && logs.ok().contains("hello "), "{logs:?}");
    assert_eq!(desk.json("logs first --build 1").await[0]["stage"], "Planning");
    let followed = desk.run("logs first --follow -o json").await;
    assert!(followed.ok().lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{followed:?}");
    let in_use = desk.run("templates delete hello --org data-platform --yes").await;
    assert!(in_use.failed().contains("1 workspaces"), "{in_use:?}");

    let jobs = desk.json("provisioner jobs list --org data-platform").await;
    let mut newest_first = owner_get(&desk, "/api/v2/organizations/data-platform/provisionerjobs").await;
    newest_first.as_array_mut().unwrap().reverse();
    assert_eq!((jobs.as_array().map(Vec::len), &jobs), (Some(6), &newest_first));
    let table = desk.run("provisioner jobs list --org data-platform --initiator me --status succeeded").await;
    let header = "CREATED AT            ID                                    TYPE";
    assert!(table.ok().starts_with(header), "{table:?}");

    let _ = desk.run("delete first --yes").await.ok();
    assert!(desk.run("show first").await.failed().contains("no workspace \"first\""));
    let _ = desk.run("templates delete hello --org data-platform --yes").await.ok();
}

async fn owner_get(desk: &Desk, path: &str) -> Value {
    desk.owner.get(path).await.expect(200)
}

#[tokio::test]
async fn a_failed_job_shows_its_last_stage_and_ends_with_1() {
    let desk = Desk::new().await;
    let _daemon = desk.daemon().await;
    let folder = desk.template(&json!({
        "import": {"variables": [{"name": "size", "type": "string", "required": true}]},
        "start": {"logs": [{"stage": "Planning", "output": "fine"}, {"stage": "Applying", "output": "the reason"}],
            "outcome": "failed", "error": "out of \u{1b}[31mdisks"},
    }));
    let push = format!("templates push hello -d {folder} --org data-platform --provisioner echo --yes");
    let _ = desk.run(&format!("{push} --variable size=large")).await.ok();
    let failed = desk.run("create first -t hello --yes").await;
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert!(failed.stderr.contains("    the reason") && !failed.stderr.contains("    fine"), "{failed:?}");
    assert!(failed.stderr.contains("error: the build failed: out of"), "{failed:?}");
    let unasked = desk.run("start first").await;
    assert_eq!(unasked.code, Some(2), "what a failed start left behind is asked about: {unasked:?}");
}

/// A job that a test's own daemon holds.
async fn held(desk: &Desk) -> (Session, Process, orgplane_proto::provisioner::v1::Assign) {
    let key = desk.owner.key("data-platform", "key", json!({})).await;
    let mut session = Session::start(&desk.deployment, &key, "one").await;
    let folder = desk.folder.path().join("held");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("main.tf"), "").unwrap();
    let process = desk.start(&format!("templates push held -d {} --org data-platform --yes", folder.display()));
    let assign = session.take_job().await;
    session.log(&assign, 1, &["at work"]).await;
    process.says("==> Testing", SHORT).await;
    (session, process, assign)
}

#[tokio::test]
async fn ctrl_c_cancels_the_job_and_ends_with_130() {
    let desk = Desk::new().await;
    let (mut session, mut process, assign) = held(&desk).await;
    process.signal(Signal::SIGINT);
    session.find("Cancel", |message| matches!(message, Heard::Cancel(_)).then_some(())).await;
    assert!(process.is_running(), "it waits for the end of the job");
    session.finish(&assign, Outcome::Canceled, 1).await;
    assert_eq!(process.exit(LONG).await.code(), Some(130), "{}", process.output());
    assert!(process.stderr().contains("the import was canceled"), "{}", process.output());
    let jobs = desk.json("provisioner jobs list --org data-platform").await;
    assert_eq!(jobs[0]["status"], "canceled", "{jobs}");
}

/// Somebody at a terminal, of which the program has one end and the test the other.
fn terminal() -> (File, OwnedFd) {
    let OpenptyResult { master, slave } = openpty(None, None).unwrap();
    (File::from(master), slave)
}

#[tokio::test]
async fn ctrl_c_ends_a_command_after_its_question_too() {
    let mut desk = Desk::new().await;
    let _daemon = desk.daemon().await;
    let folder = desk.template(&json!({"start": {"apply": true}, "stop": {"apply": true}}));
    let push = format!("templates push hello -d {folder} --org data-platform --provisioner echo");
    let _ = desk.run(&format!("{push} --yes")).await.ok();
    let _ = desk.run("create first -t hello --yes").await.ok();
    for (line, begun, says) in [
        (push.as_str(), "Uploading", "interrupted"),
        ("create second -t hello", "Creating", "the build may go on; `orgplane logs me/second --follow`"),
        ("stop first", "Stopping", "the build may go on; `orgplane logs owner/first --follow`"),
    ] {
        let (mut hand, slave) = terminal();
        let mut command = desk.cli.command(&line.split(' ').collect::<Vec<_>>());
        command.env("CODER_SESSION_TOKEN", desk.owner.token());
        let mut process = Process::start_with(slave, "cli", &mut command);
        process.asks("[y/N]: ", LONG).await;
        // What the answer leads to never ends.
        desk.deployment.process().signal(Signal::SIGSTOP);
        hand.write_all(b"y\n").unwrap();
        process.says(begun, SHORT).await;
        process.signal(Signal::SIGINT);
        let code = process.exit(SHORT).await.code();
        desk.deployment.process().signal(Signal::SIGCONT);
        assert_eq!(code, Some(130), "{line}: {}", process.output());
        assert!(process.stderr().contains(says), "{line}: {}", process.output());
    }
}

#[tokio::test]
async fn ctrl_c_at_a_password_leaves_the_terminal_as_it_was() {
    let desk = Desk::new().await;
    let (hand, slave) = terminal();
    let echoes = || tcgetattr(&hand).unwrap().local_flags.contains(LocalFlags::ECHO);
    let mut command = desk.cli.command(&["login", "--email", orgplane_tests::deployment::OWNER.0]);
    let mut process = Process::start_with(slave.try_clone().unwrap(), "cli", &mut command);
    process.asks("Password: ", SHORT).await;
    assert!(!echoes(), "the password is typed unseen");
    process.signal(Signal::SIGINT);
    assert_eq!(process.exit(SHORT).await.code(), Some(130), "{}", process.output());
    assert!(echoes());
    drop(slave);
}

#[tokio::test]
async fn a_second_ctrl_c_leaves_the_job_alone() {
    let desk = Desk::new().await;
    let (_session, mut process, _) = held(&desk).await;
    process.signal(Signal::SIGINT);
    process.says("Ctrl-C again", SHORT).await;
    process.signal(Signal::SIGINT);
    assert_eq!(process.exit(SHORT).await.code(), Some(130), "{}", process.output());
    assert!(process.stderr().contains("goes on"), "{}", process.output());
}

#[tokio::test]
async fn a_job_that_nobody_can_do_says_so_and_can_be_canceled() {
    let desk = Desk::new().await;
    let folder = desk.template(&json!({}));
    let line = format!("templates push hello -d {folder} --org data-platform --yes --provisioner-tag region=east");
    let mut process = desk.start(&line);
    process.says("no provisioner daemon", SHORT).await;
    assert!(process.stderr().contains("region=east"), "{}", process.output());
    let jobs = desk.json("provisioner jobs list --org data-platform --status pending").await;
    let id = jobs[0]["id"].as_str().unwrap();
    let _ = desk.run(&format!("provisioner jobs cancel {id} --org data-platform")).await.ok();
    assert_eq!(process.exit(LONG).await.code(), Some(1), "{}", process.output());
    assert!(process.stderr().contains("canceled by somebody"), "{}", process.output());
    let ended = desk.run(&format!("provisioner jobs cancel {id} --org data-platform")).await;
    assert!(ended.failed().contains("already ended"), "{ended:?}");
}

#[tokio::test]
async fn organizations_and_the_session() {
    let desk = Desk::new().await;
    let both = desk.run("organizations show").await;
    assert!(both.code == Some(2) && both.stderr.contains("--org"), "{both:?}");
    let shown = desk.run("organizations show data-platform").await;
    assert!(shown.ok().contains("data-platform"), "{shown:?}");
    let edited = desk.json("organizations edit data-platform --description Clusters").await;
    assert_eq!(edited["description"], "Clusters");
    let id = desk.run("organizations show Data-Platform --only-id").await.ok().trim().to_owned();
    assert_eq!(edited["id"], json!(id));
    assert_eq!(desk.json("organizations show me").await.as_array().map(Vec::len), Some(2));
    let default = desk.run("organizations delete orgplane --yes").await;
    assert!(default.failed().contains("default"), "{default:?}");
    let _ = desk.run("organizations delete data-platform --yes").await.ok();
    assert!(desk.run("organizations show data-platform").await.failed().contains("no organization \"data-platform\""));

    assert_eq!(desk.json("whoami").await, owner_get(&desk, "/api/v2/users/me").await);
    assert!(desk.run("whoami").await.ok().contains(desk.deployment.url()));
    let mut login = desk.cli.command(&["login", "--email", orgplane_tests::deployment::OWNER.0]);
    login.env("ORGPLANE_PASSWORD", orgplane_tests::deployment::PASSWORD);
    let _ = run(login).await.ok();
    let _ = desk.cli.run(&["whoami"]).await.ok();
    // The end of another session, or of none, is not that of the remembered one.
    let _ = desk
        .cli
        .run_as(desk.deployment.rest().login(orgplane_tests::deployment::OWNER.0).await.token(), &["logout"])
        .await
        .ok();
    let unknown = desk.cli.run_as("0123456789-0123456789012345678901", &["logout"]).await;
    assert!(unknown.failed().contains("didn't end"), "{unknown:?}");
    let _ = desk.cli.run(&["whoami"]).await.ok();
    let _ = desk.cli.run(&["logout"]).await.ok();
    assert!(desk.cli.run(&["whoami"]).await.failed().contains("orgplane login"));
    let _ = desk.cli.run(&["logout"]).await.ok();
}

#[tokio::test]
async fn members_and_roles_of_an_organization() {
    let desk = Desk::new().await;
    let id = desk.owner.organization("other").await;
    desk.owner.user("ada", &[&id]).await;
    let made = desk
        .run("org roles create key-maker --permission provisioner_daemon:create,template:read --org data-platform")
        .await;
    assert!(made.ok().is_empty() && made.stderr.contains("key-maker"), "{made:?}");
    let refused = desk.run("org roles create key-maker --org data-platform").await;
    assert!(refused.failed().contains("in use already"), "{refused:?}");
    let _ = desk.run("org roles update key-maker --display-name Keys --org data-platform").await.ok();
    let shown = desk.run("org roles show key-maker --org data-platform").await;
    let row = "key-maker  Keys          provisioner_daemon:create, template:read";
    assert!(shown.ok().starts_with("NAME") && shown.ok().contains(row), "{shown:?}");
    let all = desk.json("org roles show --org data-platform").await;
    assert_eq!(all, owner_get(&desk, "/api/v2/organizations/data-platform/members/roles").await);

    // What is shown can be changed and handed back.
    let mut role = desk.json("org roles show key-maker --org data-platform").await[0].take();
    role["organization_permissions"].as_array_mut().unwrap().truncate(1);
    let file = desk.folder.path().join("role.json");
    std::fs::write(&file, role.to_string()).unwrap();
    let mut command = desk.cli.command(&["org", "roles", "update", "--stdin", "--org", "data-platform", "-o", "json"]);
    command.env("CODER_SESSION_TOKEN", desk.owner.token()).stdin(File::open(&file).unwrap());
    let updated: Value = serde_json::from_str(run(command).await.ok()).unwrap();
    assert_eq!(updated["organization_permissions"], role["organization_permissions"]);

    let added = desk.run("org members add ada --org data-platform").await;
    assert!(added.ok().is_empty() && added.stderr.contains("ada is a member"), "{added:?}");
    let edited = desk.run("org members edit-roles ada key-maker organization-auditor --org data-platform").await;
    assert!(edited.ok().is_empty() && edited.stderr.contains("Organization Auditor, Keys"), "{edited:?}");
    let list = desk.run("org members list --org data-platform").await;
    assert_eq!(list.ok(), "USERNAME  ORGANIZATION ROLES\nada       Organization Auditor, Keys\nowner\n");
    let list = desk.json("org members list --org data-platform").await;
    assert_eq!(list, owner_get(&desk, "/api/v2/organizations/data-platform/members").await);
    let found = desk.run("org members ls --org data-platform --search ADA@ -c username,status").await;
    assert_eq!(found.ok(), "USERNAME  STATUS\nada       active\n");

    let _ = desk.run("org roles delete key-maker --org data-platform --yes").await.ok();
    let cleared = desk.run("org members edit-roles ada --org data-platform").await;
    assert!(cleared.ok().is_empty() && cleared.stderr.contains("no roles"), "{cleared:?}");
    let _ = desk.run("org members remove ada --org data-platform").await.ok();
    for (line, says) in [
        ("org members remove ada --org data-platform", "no member"),
        ("org members add nobody --org data-platform", "no user"),
        ("org members edit-roles owner --org data-platform", "your own roles"),
        ("org roles show nothing --org data-platform", "no such role"),
        ("org roles update nothing --display-name x --org data-platform", "no such role"),
        ("org roles delete nothing --org data-platform --yes", "no such role"),
        ("org roles create x --permission moon:walk --org data-platform", "moon:walk"),
    ] {
        let ended = desk.run(line).await;
        assert!(ended.failed().contains(says), "{line}: {ended:?}");
    }
}

#[tokio::test]
async fn bad_input_is_named() {
    let desk = Desk::new().await;
    let dir = |name: &str| desk.folder.path().join(name);
    std::fs::create_dir(dir("empty")).unwrap();
    std::fs::write(dir("file"), "x").unwrap();
    let path = |name: &str| dir(name).display().to_string();
    let push = |directory: &str| format!("templates push x --org data-platform --yes -d {directory}");
    let nobody = "00000000-0000-4000-8000-000000000000";
    for (line, code, says) in [
        (push(&path("nowhere")), 2, "nowhere"),
        (push(&path("file")), 2, "is no folder"),
        (push(&path("empty")), 2, "no file to upload"),
        (format!("{} --variables-file {}", push("."), path("nowhere")), 1, "--variables-file"),
        (format!("{} --variables-file {}", push("."), path("file")), 2, "terraform.tfvars"),
        ("templates show nothing --org data-platform".to_owned(), 1, "no template \"nothing\""),
        ("templates list --org nowhere".to_owned(), 1, "no organization \"nowhere\""),
        ("templates delete a\u{1b}[2Jb --org data-platform --yes".to_owned(), 1, "no template"),
        ("create a/b/c -t x --yes".to_owned(), 2, "owner/name"),
        ("create first -t nothing --yes".to_owned(), 1, "no template \"nothing\""),
        ("create first --yes".to_owned(), 1, "templates push"),
        ("show nothing".to_owned(), 1, "no workspace \"nothing\""),
        (format!("stop {nobody} --yes"), 1, nobody),
        ("logs /".to_owned(), 2, "owner/name"),
        ("list --search color:red".to_owned(), 1, "color"),
        (format!("provisioner jobs cancel {nobody} --org data-platform"), 1, nobody),
        ("provisioner jobs cancel x --org data-platform".to_owned(), 1, "UUID"),
        ("provisioner jobs list --org data-platform -i nobody".to_owned(), 1, "nobody"),
        ("provisioner jobs list --org data-platform -l 99999".to_owned(), 2, "--limit"),
        ("provisioner keys delete nothing --org data-platform --yes".to_owned(), 1, "no provisioner key \"nothing\""),
        ("list -c color".to_owned(), 2, "workspace"),
    ] {
        let ended = desk.run(&line).await;
        assert_eq!(ended.code, Some(code), "{line}: {ended:?}");
        assert!(ended.stderr.contains(says) && !ended.stderr.contains("panicked"), "{line}: {ended:?}");
        assert!(ended.stdout.is_empty(), "{line}: {ended:?}");
    }
    let created = desk.run("provisioner keys create Big-Key --org data-platform").await;
    assert!(created.ok().starts_with("orgp_") && created.stderr.contains("big-key"), "{created:?}");
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_failure() {
    let desk = Desk::new().await;
    let mut command = desk.cli.command(&["completion", "bash"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[tokio::test]
async fn long_lists_are_shown_whole() {
    let desk = Desk::new().await;
    let daemon = desk.daemon().await;
    let template = desk.owner.template("data-platform", "hello", Archive::echo(&json!({})), "echo").await;
    drop(daemon);
    let file = desk.owner.upload(Archive::echo(&json!({}))).await.expect(200)["hash"].clone();
    // More than one answer holds.
    for number in 0..12 {
        let body = json!({
            "template_id": template["id"], "storage_method": "file", "file_id": file, "provisioner": "echo",
            "name": format!("long-{number}"), "message": "x".repeat(900_000),
        });
        let _ = desk.owner.post("/api/v2/organizations/data-platform/templateversions", body).await.expect(201);
    }
    let path = format!("/api/v2/templates/{}/versions", template["id"].as_str().unwrap());
    let first = desk.owner.get(&path).await.expect(200).as_array().unwrap().len();
    assert!((5..13).contains(&first), "{first} versions in one answer");
    let shown = desk.json("templates versions list hello --org data-platform").await;
    let names: Vec<_> = shown.as_array().unwrap().iter().map(|version| version["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 13, "{names:?}");
    assert!((0..12).all(|number| names[number + 1] == format!("long-{number}")), "{names:?}");

    // More than the command asks for at once.
    for number in 0..101 {
        desk.owner.workspace(&format!("w{number}"), &template).await;
    }
    let shown = desk.json("list --all").await;
    let names: BTreeSet<_> = shown.as_array().unwrap().iter().map(|workspace| workspace["name"].to_string()).collect();
    assert_eq!((shown.as_array().unwrap().len(), names.len()), (101, 101));
}

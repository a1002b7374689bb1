//! The documented commands, as somebody at a terminal gives them.

use std::os::unix::fs::PermissionsExt as _;

use orgplane_tests::cli::{Cli, run};
use orgplane_tests::deployment::{OWNER, PASSWORD};
use orgplane_tests::{Daemon, Deployment, Process};
use serde_json::Value;

#[tokio::test]
async fn the_documented_walk() {
    let deployment = Deployment::start().await;
    let cli = Cli::new(deployment.url());
    let mut login =
        cli.command(&["login", deployment.url(), "--first-user-username", OWNER.1, "--first-user-email", OWNER.0]);
    login.env("ORGPLANE_PASSWORD", PASSWORD);
    let ended = run(login).await;
    let _ = ended.ok();
    let owner = deployment.rest().login(OWNER.0).await;
    assert_eq!(owner.get("/api/v2/users/me").await.expect(200)["username"], OWNER.1);

    // The login is remembered: nothing below names a token.
    let created = cli.run(&["organizations", "create", "data-platform"]).await;
    let _ = created.ok();
    let list = cli.run(&["organizations", "list"]).await;
    assert!(list.ok().contains("data-platform") && list.ok().contains("orgplane"), "{list:?}");
    let json: Value = serde_json::from_str(cli.run(&["organizations", "list", "-o", "json"]).await.ok()).unwrap();
    assert_eq!(json, owner.get("/api/v2/organizations").await.expect(200), "the same JSON as the REST API's");
    let taken = cli.run(&["organizations", "create", "data-platform"]).await;
    assert!(taken.failed().contains("already in use"), "{taken:?}");

    let created =
        cli.run(&["provisioner", "keys", "create", "data-cluster-key", "--org", "data-platform", "-t", "a=b"]).await;
    let key = created.ok().split_whitespace().find(|word| word.starts_with("orgp_")).expect("the key").to_owned();
    assert!(!created.stderr.contains(&key), "{created:?}");
    let list = cli.run(&["provisioner", "keys", "list", "--org", "data-platform"]).await;
    assert!(list.ok().contains("data-cluster-key") && list.ok().contains("a=b"), "{list:?}");
    assert!(!list.stdout.contains(&key), "{list:?}");

    // The documented way to start a daemon: both settings in the environment, by the older name.
    let folder = tempfile::tempdir().unwrap();
    let mut start =
        cli.command(&["provisionerd", "start", "--org", "data-platform", "--engine", "echo", "--name", "one"]);
    start.env("CODER_PROVISIONER_DAEMON_KEY", &key);
    start.arg("--work-dir").arg(folder.path().join("work")).arg("--cache-dir").arg(folder.path().join("cache"));
    let mut daemon = Process::start("daemon", &mut start);
    owner.daemon("data-platform", "one", "idle").await;
    // Neither its command line nor its environment has the key any more.
    for file in ["cmdline", "environ"] {
        let bytes = std::fs::read(format!("/proc/{}/{file}", daemon.pid())).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&bytes).contains(&key), "the key is in /proc/…/{file}");
    }
    let list = cli.run(&["provisioner", "list", "--org", "data-platform"]).await;
    assert!(list.ok().contains("one") && list.ok().contains("idle"), "{list:?}");
    let json: Value =
        serde_json::from_str(cli.run(&["provisioner", "list", "--org", "data-platform", "-o", "json"]).await.ok())
            .unwrap();
    assert_eq!(json[0]["key_name"], "data-cluster-key", "{json}");
    assert_eq!(daemon.stop().await.code(), Some(0), "SIGTERM is a clean end\n{}", daemon.output());

    let _ =
        cli.run(&["provisioner", "keys", "delete", "data-cluster-key", "--org", "data-platform", "--yes"]).await.ok();
    let gone = cli.run(&["provisioner", "keys", "delete", "data-cluster-key", "--org", "data-platform", "--yes"]).await;
    let _ = gone.failed();
}

#[tokio::test]
async fn tokens_and_files_stay_private() {
    let deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let cli = Cli::new(deployment.url());
    let list = cli.run_as(owner.token(), &["organizations", "list", "-o", "json"]).await;
    assert!(list.ok().contains("orgplane"), "{list:?}");
    let mut login = cli.command(&["login", deployment.url(), "--email", OWNER.0]);
    let home =
        login.get_envs().find(|(name, _)| *name == "XDG_CONFIG_HOME").and_then(|(_, value)| value).unwrap().to_owned();
    login.env("ORGPLANE_PASSWORD", PASSWORD);
    let ended = run(login).await;
    let _ = ended.ok();
    assert!(!ended.stdout.contains(PASSWORD) && !ended.stderr.contains(PASSWORD));
    let session = std::path::Path::new(&home).join("orgplane/session");
    assert_eq!(std::fs::metadata(session).unwrap().permissions().mode() & 0o777, 0o600);

    let mut wrong = cli.command(&["login", deployment.url(), "--email", OWNER.0]);
    wrong.env("ORGPLANE_PASSWORD", "wrong");
    let ended = run(wrong).await;
    assert!(ended.failed().contains("Incorrect email or password"), "{ended:?}");
}

#[tokio::test]
async fn failures_are_sentences() {
    let deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let cli = Cli::new(deployment.url());
    let signed_out = cli.run(&["organizations", "list"]).await;
    assert!(signed_out.failed().contains("orgplane login"), "{signed_out:?}");
    let unknown = cli.run_as(owner.token(), &["provisioner", "keys", "list", "--org", "nowhere"]).await;
    assert!(unknown.failed().contains("no organization \"nowhere\""), "{unknown:?}");
    let bad = cli.run_as(owner.token(), &["organizations", "create", "has space"]).await;
    assert!(bad.failed().contains("name"), "{bad:?}");
    let away = Cli::new("http://127.0.0.1:9").run_as(owner.token(), &["organizations", "list"]).await;
    let _ = away.failed();
    for args in [&["bogus"][..], &["organizations", "list", "-o", "yaml"], &["provisioner", "keys", "create"]] {
        assert_eq!(cli.run(args).await.code, Some(2), "{args:?}");
    }
}

#[tokio::test]
async fn completion_and_version() {
    let cli = Cli::new("http://127.0.0.1:9");
    for shell in ["bash", "zsh", "fish"] {
        assert!(cli.run(&["completion", shell]).await.ok().contains("provisioner"), "{shell}");
    }
    assert!(cli.run(&["--version"]).await.ok().starts_with("orgplane "));
    assert!(cli.run(&["--help"]).await.ok().contains("demo"));
}

#[tokio::test]
async fn one_work_directory_is_one_daemons() {
    let deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let organization = owner.organization("data-platform").await;
    let key = owner.key(&organization, "key", serde_json::json!({})).await;
    let first = Daemon::start(&deployment, "one", &key, "echo");
    owner.daemon(&organization, "one", "idle").await;
    let mut command = orgplane_tests::daemon::daemon_command(deployment.url(), first.folder(), "two", &key, "echo");
    let mut second = Process::start("second daemon", &mut command);
    let status = second.exit(orgplane_tests::SHORT).await;
    assert!(status.code().is_some_and(|code| code != 0 && code != 101), "{status:?}\n{}", second.output());
    assert!(second.stderr().contains("work"), "{}", second.stderr());
}

//! `orgplane users`.

use orgplane_tests::cli::{Cli, run};
use orgplane_tests::deployment::PASSWORD;
use orgplane_tests::{Databases, Deployment};
use serde_json::Value;

#[tokio::test]
async fn users_from_creation_to_deletion() {
    let deployment = Deployment::on(Databases::Sqlite).unrecorded().start().await;
    let owner = deployment.rest().first_user().await;
    owner.organization("data-platform").await;
    let cli = Cli::new(deployment.url());
    let users = async |line: &str| cli.run_as(owner.token(), &line.split(' ').collect::<Vec<_>>()).await;

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    let create = format!("users create -u ada -e ada@example.com --password-file {}", file.display());
    let created = users(&format!("{create} --org data-platform -n Ada")).await;
    let id = created.ok().trim().to_owned();
    assert!(id.len() == 36 && !created.stderr.contains(PASSWORD), "{created:?}");
    let ada = deployment.rest().login("ada@example.com").await;
    let _ = ada.get("/api/v2/users/me").await.expect(200);
    assert!(users(&create).await.failed().contains("already in use"));

    // A password that is made up is shown, and works.
    let made_up = users("users create -u bob -e bob@example.com --generate-password").await;
    let (_, password) = made_up.stderr.trim().rsplit_once(' ').unwrap();
    assert!(password.len() == 24 && !made_up.ok().contains(password), "{made_up:?}");
    let login = serde_json::json!({"email": "bob@example.com", "password": password});
    let _ = deployment.rest().post("/api/v2/users/login", login).await.expect(201);
    let mut unasked = cli.command(&["users", "create", "-u", "x", "-e", "x@example.com"]);
    unasked.env("CODER_SESSION_TOKEN", owner.token());
    assert!(run(unasked).await.failed().contains("--password-file"));

    let list = users("users list").await;
    let lines: Vec<_> = list.ok().lines().collect();
    assert!(lines[0].split_whitespace().eq("USERNAME EMAIL STATUS CREATED AT".split(' ')), "{list:?}");
    assert!(lines.len() == 4 && lines[1].starts_with("ada"), "{list:?}");
    let found = users("users ls --search status:dormant -c username,status").await;
    assert_eq!(found.ok(), "USERNAME  STATUS\nbob       dormant\n");
    let listed: Value = serde_json::from_str(users("users list -o json").await.ok()).unwrap();
    assert_eq!(listed, owner.get("/api/v2/users").await.expect(200)["users"]);

    let _ = users("users edit-roles ada --roles auditor,user-admin").await.ok();
    let shown = users("users show ada").await;
    for told in [id.as_str(), "data-platform", "user-admin, auditor", "active", "Ada"] {
        assert!(shown.ok().contains(told), "{told}: {shown:?}");
    }
    assert!(users("users edit-roles ada --roles king").await.failed().contains("king"));
    let mut none = cli.command(&["users", "edit-roles", "ada", "--roles", ""]);
    none.env("CODER_SESSION_TOKEN", owner.token());
    assert!(run(none).await.stderr.contains("none"));

    let suspended = users("users suspend ada -o json").await;
    assert_eq!(serde_json::from_str::<Value>(suspended.ok()).unwrap()["status"], "suspended");
    let _ = users("users activate ada").await.ok();
    assert_eq!(owner.get("/api/v2/users/ada").await.expect(200)["status"], "active");

    let unasked = users("users delete ada").await;
    assert!(unasked.code == Some(2) && unasked.stderr.contains("--yes"), "{unasked:?}");
    let _ = users("users rm ada --yes").await.ok();
    for line in ["users show ada", "users delete ada --yes", "users suspend ada"] {
        let gone = users(line).await;
        assert!(gone.failed().contains("no user \"ada\""), "{line}: {gone:?}");
    }
}

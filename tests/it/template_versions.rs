//! `…/templateversions`: imports by a daemon of the echo engine, their logs, variables and cancellation.

use orgplane_tests::world::{outputs, text};
use orgplane_tests::{Archive, Builder, Daemon, Databases, Deployment, LONG, Rest, Session};
use serde_json::{Value, json};

const PATH: &str = "/api/v2/organizations/default/templateversions";

struct Story {
    // Ends before the server does.
    daemon: Option<Daemon>,
    deployment: Deployment,
    owner: Rest,
}

async fn story(with_daemon: bool) -> Story {
    story_of(Deployment::on(Databases::Sqlite), with_daemon).await
}

async fn story_of(builder: Builder, with_daemon: bool) -> Story {
    let deployment = builder.start().await;
    let owner = deployment.rest().first_user().await;
    let organization = owner.default_organization().await;
    let mut daemon = None;
    if with_daemon {
        let key = owner.key(&organization, "key", json!({})).await;
        daemon = Some(Daemon::start(&deployment, "one", &key, "echo"));
        owner.daemon(&organization, "one", "idle").await;
    }
    Story { daemon, deployment, owner }
}

#[tokio::test]
async fn an_import_tells_what_it_found() {
    let mut story = story(true).await;
    let script = json!({"import": {
        "readme": "# Read me",
        "logs": [{"stage": "Parsing", "output": "line one"}, {"stage": "Parsing", "level": "warn", "output": "line <two>"}],
        "variables": [
            {"name": "size", "description": "How large", "type": "string", "default": "small"},
            {"name": "password", "type": "string", "default": "hunter2", "sensitive": true},
        ],
        "resources": [{"type": "echo", "name": "thing"}],
        "stop_resources": [{"type": "echo", "name": "disk"}],
    }});
    let version = story.owner.import("default", Archive::echo(&script), "echo", json!({})).await;
    assert_eq!(version["template_id"], "00000000-0000-0000-0000-000000000000");
    assert_eq!(version["matched_provisioners"]["available"], 1, "{version}");
    let path = format!("/api/v2/templateversions/{}", text(&version, "id"));
    let version = story.owner.imported(&text(&version, "id"), LONG).await;
    assert_eq!(version["job"]["status"], "succeeded", "{version}");
    assert_eq!(version["readme"], "# Read me");
    assert_eq!(version["job"]["worker_name"], "one");
    assert_eq!(version["job"]["input"], json!({"template_version_id": version["id"]}));

    let logs = story.owner.logs(&path).await;
    let said = outputs(&logs);
    assert!(said.contains("line one") && said.contains("line <two>"), "{said}");
    let two = logs.iter().find(|line| line["output"] == "line <two>").unwrap();
    assert_eq!((&two["log_level"], &two["log_source"]), (&json!("warn"), &json!("provisioner")));
    let after = story.owner.get(&format!("{path}/logs?after={}", two["id"])).await.expect(200);
    assert_eq!(after.as_array().unwrap().len(), logs.len() - two["id"].as_u64().unwrap() as usize);
    let plain = story.owner.get(&format!("{path}/logs?format=text")).await;
    let _ = plain.expect(200);
    assert!(
        plain.text().contains("line <two>")
            && plain.headers["content-type"].to_str().unwrap().starts_with("text/plain")
    );
    for query in ["after=x", "format=xml", "after=1.5"] {
        story.owner.get(&format!("{path}/logs?{query}")).await.refused(400);
    }

    let resources = story.owner.get(&format!("{path}/resources")).await;
    let list = resources.expect(200);
    let found: Vec<_> = list.as_array().unwrap().iter().map(|r| (&r["workspace_transition"], &r["name"])).collect();
    assert_eq!(found, [(&json!("start"), &json!("thing")), (&json!("stop"), &json!("disk"))]);

    let variables = story.owner.get(&format!("{path}/variables")).await;
    let list = variables.expect(200);
    assert!(!variables.text().contains("hunter2"), "{list}");
    let find = |name: &str| list.as_array().unwrap().iter().find(|v| v["name"] == name).unwrap().clone();
    assert_eq!(find("password")["sensitive"], true);
    assert_eq!(find("size")["default_value"], "small");
    assert_eq!(find("size")["value"], "small", "{list}");
    assert!(!story.deployment.process().output().contains("hunter2"), "the server's log has a secret");
}

#[tokio::test]
async fn a_failed_import_says_why() {
    let mut story = story_of(Deployment::on(Databases::Sqlite).unrecorded(), true).await;
    let script = json!({"import": {"outcome": "failed", "error": "nothing fits", "logs": [{"output": "so far"}]}});
    let version = story.owner.import("default", Archive::echo(&script), "echo", json!({})).await;
    let version = story.owner.imported(&text(&version, "id"), LONG).await;
    assert_eq!((&version["job"]["status"], &version["job"]["error"]), (&json!("failed"), &json!("nothing fits")));
    let path = format!("/api/v2/templateversions/{}", text(&version, "id"));
    assert!(outputs(&story.owner.logs(&path).await).contains("so far"));
    let body = json!({"name": "broken", "template_version_id": version["id"]});
    let before = story.deployment.database().rows().await;
    // A template of a version that can't be used makes no sense, but its creation is the caller's to decide; a workspace
    // of it is refused.
    let created = story.owner.post("/api/v2/organizations/default/templates", body).await;
    if created.status == 201 {
        let body = json!({"name": "w", "template_id": created.body["id"]});
        story.owner.post("/api/v2/users/me/workspaces", body).await.refused(400);
        assert_eq!(story.deployment.database().rows().await["workspace"], 0);
    } else {
        created.refused(400);
        assert_eq!(story.deployment.database().rows().await, before);
    }
    drop(story.daemon.take());
}

#[tokio::test]
async fn what_a_version_may_be_made_of() {
    let story = story(false).await;
    let organization = story.owner.default_organization().await;
    let (ada, _) = story.owner.user("ada", &[&organization]).await;
    let foreign = ada.upload(Archive::terraform("hello")).await.expect(201);
    let own = story.owner.upload(Archive::terraform("hello")).await.expect(201);
    let body = |change: Value| {
        let mut body = json!({"storage_method": "file", "file_id": own["hash"], "provisioner": "echo"});
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        body
    };
    let before = story.deployment.database().rows().await;
    let nobody = "00000000-0000-4000-8000-000000000000";
    for (change, status, field) in [
        (json!({"file_id": nobody}), 404, ""),
        (json!({"file_id": foreign["hash"]}), 404, ""),
        (json!({"file_id": "x"}), 400, "file_id"),
        (json!({"file_id": ""}), 400, "file_id"),
        (json!({"storage_method": ""}), 400, "storage_method"),
        (json!({"storage_method": "s3"}), 400, "storage_method"),
        (json!({"provisioner": ""}), 400, "provisioner"),
        (json!({"provisioner": "pulumi"}), 400, "provisioner"),
        (json!({"example_id": "docker"}), 400, "example_id"),
        (json!({"template_id": nobody}), 404, ""),
        (json!({"name": "has space"}), 400, "name"),
        (json!({"user_variable_values": [{"name": "", "value": "x"}]}), 400, "user_variable_values"),
    ] {
        let answer = story.owner.post(PATH, body(change.clone())).await;
        assert_eq!(answer.status, status, "{change}: {}", answer.text());
        answer.refused(status);
        assert!(field.is_empty() || answer.names(field), "{change}: {}", answer.text());
    }
    assert_eq!(story.deployment.database().rows().await, before);
    ada.post(PATH, body(json!({"file_id": foreign["hash"]}))).await.refused(403);
}

#[tokio::test]
async fn a_pending_import_is_canceled_at_once() {
    let story = story(false).await;
    let version = story.owner.import("default", Archive::echo(&json!({})), "echo", json!({})).await;
    let path = format!("/api/v2/templateversions/{}", text(&version, "id"));
    story.owner.get(&format!("{path}/variables")).await.refused(403);
    story.owner.get(&format!("{path}/resources")).await.refused(400);
    let _ = story.owner.patch(&format!("{path}/cancel"), json!({})).await.expect(200);
    let version = story.owner.get(&path).await.expect(200);
    assert_eq!(version["job"]["status"], "canceled");
    assert!(version["job"]["canceled_at"].is_string() && version["job"]["completed_at"].is_string(), "{version}");
    story.owner.patch(&format!("{path}/cancel"), json!({})).await.refused(400);
}

#[tokio::test]
async fn a_running_import_is_interrupted() {
    let story = story(true).await;
    let script = json!({"import": {"logs": [
        {"stage": "Waiting", "output": "begun"}, {"stage": "Waiting", "output": "never", "delay_ms": 600_000},
    ]}});
    let version = story.owner.import("default", Archive::echo(&script), "echo", json!({})).await;
    let path = format!("/api/v2/templateversions/{}", text(&version, "id"));
    story.owner.in_status(&path, "running").await;
    let _ = story.owner.patch(&format!("{path}/cancel"), json!({})).await.expect(200);
    let version = story.owner.imported(&text(&version, "id"), LONG).await;
    assert_eq!(version["job"]["status"], "canceled", "{version}");
    assert!(!outputs(&story.owner.logs(&path).await).contains("never"));
}

#[tokio::test]
async fn versions_of_a_template_are_paged() {
    let deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let organization = owner.default_organization().await;
    let key = owner.key(&organization, "key", json!({})).await;
    let mut session = Session::start(&deployment, &key, "one").await;
    let file = owner.upload(Archive::terraform("hello")).await.expect(201);
    let first = owner.import(&organization, Archive::terraform("hello"), "terraform", json!({})).await;
    let assign = session.take_job().await;
    session.finish(&assign, orgplane_proto::provisioner::v1::Outcome::Succeeded, 0).await;
    let body = json!({"name": "one", "template_version_id": first["id"]});
    let template = owner.post("/api/v2/organizations/default/templates", body).await.expect(201);
    let mut ids = vec![text(&first, "id")];
    for name in ["second", "third"] {
        let body = json!({
            "storage_method": "file", "file_id": file["hash"], "provisioner": "terraform", "name": name,
            "template_id": template["id"], "message": "a new one",
        });
        let version = owner.post(PATH, body.clone()).await.expect(201);
        assert_eq!((&version["template_id"], &version["name"]), (&template["id"], &json!(name)));
        owner.post(PATH, body).await.refused_for(409, "name");
        ids.push(text(&version, "id"));
    }
    let path = format!("/api/v2/templates/{}/versions", text(&template, "id"));
    for (query, expected) in [
        (String::new(), &ids[..]),
        ("?limit=2".to_owned(), &ids[..2]),
        ("?limit=2&offset=1".to_owned(), &ids[1..]),
        (format!("?after_id={}", ids[0]), &ids[1..]),
        ("?include_archived=true&limit=0".to_owned(), &ids[..]),
    ] {
        let list = owner.get(&format!("{path}{query}")).await.expect(200);
        let found: Vec<String> = list.as_array().unwrap().iter().map(|v| text(v, "id")).collect();
        assert_eq!(found, expected, "{query}");
    }
    for query in ["limit=-1", "offset=-1", "after_id=x", "after_id=00000000-0000-4000-8000-000000000000"] {
        owner.get(&format!("{path}?{query}")).await.refused(400);
    }
}

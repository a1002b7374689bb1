//! `…/builds`: one at a time, in order, with logs, resources and state.

use orgplane_proto::provisioner::v1::Outcome;
use orgplane_tests::world::{outputs, text};
use orgplane_tests::{Archive, Daemon, Databases, Deployment, LONG, Session};
use serde_json::{Value, json};

on_each_database!(builds_of_a_workspace, only_one_build_at_a_time);

async fn builds_of_a_workspace(database: Databases) {
    let deployment = Deployment::on(database).unrecorded().start().await;
    let (owner, organization, key) = deployment.furnished().await;
    let _daemon = Daemon::start(&deployment, "one", &key, "echo");
    let script = json!({
        "start": {
            "logs": [{"stage": "Planning", "output": "hello {workspace} of {owner} in {organization}"}],
            "apply": true,
            "after_permit": [{"stage": "Applying", "output": "applied"}],
            "state": {"lineage": "a1", "serial": 1, "content": "the state of the workspace"},
            "resources": [{"type": "echo", "name": "thing"}],
        },
        "stop": {"apply": true, "state": {"lineage": "a1", "serial": 2, "content": "stopped"}},
        "delete": {"apply": true, "outcome": "failed", "error": "it won't go"},
    });
    let template = owner.template(&organization, "echo", Archive::echo(&script), "echo").await;
    let (ada, _) = owner.user("ada", &[&organization]).await;
    let workspace = ada.workspace("dev", &template).await;
    let first = ada.built(&text(&workspace["latest_build"], "id"), LONG).await;
    assert_eq!(first["job"]["status"], "succeeded", "{first}");
    assert_eq!(first["resources"][0]["name"], "thing", "{first}");
    let path = format!("/api/v2/workspacebuilds/{}", text(&first, "id"));
    let said = outputs(&ada.logs(&path).await);
    let expected = ["hello dev of ada in data-platform", "applied"].map(|line| said.find(line));
    assert!(expected[0].is_some() && expected[0] < expected[1], "{said}");
    let resources = ada.get(&format!("{path}/resources")).await.expect(200);
    assert_eq!(resources[0]["type"], "echo");

    // The state is for those who may update the template.
    let state = owner.get(&format!("{path}/state")).await;
    let _ = state.expect(200);
    assert_eq!(state.text(), "the state of the workspace");
    ada.get(&format!("{path}/state")).await.refused(404);

    for (transition, status, job) in [("stop", "stopped", "succeeded"), ("delete", "failed", "failed")] {
        let build = ada.build(&workspace, transition).await;
        assert_eq!(build["transition"], transition);
        let build = ada.built(&text(&build, "id"), LONG).await;
        assert_eq!((&build["status"], &build["job"]["status"]), (&json!(status), &json!(job)), "{build}");
    }
    let _ = ada.get(&format!("/api/v2/workspaces/{}", text(&workspace, "id"))).await.expect(200);

    let builds = format!("/api/v2/workspaces/{}/builds", text(&workspace, "id"));
    let list = ada.get(&builds).await.expect(200);
    let numbers =
        |list: &Value| list.as_array().unwrap().iter().map(|b| b["build_number"].as_i64().unwrap()).collect::<Vec<_>>();
    assert_eq!(numbers(&list), [3, 2, 1]);
    let second = text(&list[1], "id");
    for (query, expected) in [
        ("limit=1".to_owned(), vec![3]),
        ("limit=1&offset=1".to_owned(), vec![2]),
        (format!("after_id={second}"), vec![1]),
        ("since=0001-01-01T00:00:00Z".to_owned(), vec![3, 2, 1]),
        ("since=2100-01-01T00:00:00Z".to_owned(), vec![]),
    ] {
        assert_eq!(numbers(&ada.get(&format!("{builds}?{query}")).await.expect(200)), expected, "{query}");
    }
    for query in ["limit=-1", "after_id=x", "since=yesterday"] {
        ada.get(&format!("{builds}?{query}")).await.refused(400);
    }
    let by_number = ada.get("/api/v2/users/me/workspace/dev/builds/2").await.expect(200);
    assert_eq!(text(&by_number, "id"), second);
    ada.get("/api/v2/users/me/workspace/dev/builds/9").await.refused(404);
    ada.get("/api/v2/users/me/workspace/dev/builds/x").await.refused(400);
}

async fn only_one_build_at_a_time(database: Databases) {
    let deployment = Deployment::on(database).start().await;
    let (owner, organization, key) = deployment.furnished().await;
    let mut session = Session::start(&deployment, &key, "one").await;
    let version = owner.import(&organization, Archive::terraform("hello"), "terraform", json!({})).await;
    let assign = session.take_job().await;
    session.finish(&assign, Outcome::Succeeded, 0).await;
    let body = json!({"name": "echo", "template_version_id": version["id"]});
    let template = owner.post("/api/v2/organizations/data-platform/templates", body).await.expect(201);
    let workspace = owner.workspace("dev", &template).await;
    let assign = session.take_job().await;
    session.finish(&assign, Outcome::Succeeded, 0).await;

    let path = format!("/api/v2/workspaces/{}/builds", text(&workspace, "id"));
    let attempts = (0..8).map(|_| {
        let (owner, path) = (owner.clone(), path.clone());
        tokio::spawn(async move { owner.post(&path, json!({"transition": "stop"})).await })
    });
    let mut created = Vec::new();
    for attempt in attempts.collect::<Vec<_>>() {
        let answer = attempt.await.unwrap();
        match answer.status {
            201 => created.push(text(&answer.body, "id")),
            _ => drop(answer.refused(409)),
        }
    }
    assert_eq!(created.len(), 1, "{created:?}");
    let assign = session.take_job().await;
    let build = format!("/api/v2/workspacebuilds/{}", created[0]);

    // A cancel that expects another status changes nothing; the right one reaches the daemon.
    owner.patch(&format!("{build}/cancel?expect_status=pending"), json!({})).await.refused(412);
    owner.patch(&format!("{build}/cancel?expect_status=done"), json!({})).await.refused(400);
    assert_eq!(owner.get(&build).await.expect(200)["job"]["status"], "running");
    let _ = owner.patch(&format!("{build}/cancel?expect_status=running"), json!({})).await.expect(200);
    use orgplane_proto::provisioner::v1::server_message::Message;
    let cancel = session.find("Cancel", |message| match message {
        Message::Cancel(cancel) => Some(cancel),
        _ => None,
    });
    assert_eq!(cancel.await.job_id, assign.job_id);
    assert_eq!(owner.get(&build).await.expect(200)["job"]["status"], "canceling");
    session.finish(&assign, Outcome::Canceled, 0).await;
    assert_eq!(owner.get(&build).await.expect(200)["status"], "canceled");
    owner.patch(&format!("{build}/cancel"), json!({})).await.refused(400);

    // A pending build is canceled at once.
    drop(session);
    owner.daemon(&organization, "one", "offline").await;
    let build = owner.build(&workspace, "stop").await;
    let build = format!("/api/v2/workspacebuilds/{}", text(&build, "id"));
    let _ = owner.patch(&format!("{build}/cancel"), json!({})).await.expect(200);
    assert_eq!(owner.get(&build).await.expect(200)["status"], "canceled");
}

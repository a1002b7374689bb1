//! `/api/v2/organizations`: the five verbs, by id and by name, on both databases.

use orgplane_tests::world::text;
use orgplane_tests::{Databases, Deployment};
use serde_json::{Value, json};

on_each_database!(the_five_verbs, names_are_taken_once, a_full_one_refuses_deletion, the_default_one_stays);

async fn the_five_verbs(database: Databases) {
    let deployment = Deployment::on(database).start().await;
    let owner = deployment.rest().first_user().await;
    let body = json!({"name": "data-platform", "description": "Data <people>", "icon": "/icon/data.svg"});
    let answer = owner.post("/api/v2/organizations", body).await;
    let created = answer.expect(201);
    assert!(answer.text().contains("\\u003cpeople\\u003e") && answer.text().ends_with('\n'), "{}", answer.text());
    assert_eq!(answer.headers["content-type"], "application/json; charset=utf-8");
    assert_eq!(created["display_name"], "data-platform");
    assert_eq!(created["is_default"], false);
    let id = text(&created, "id");

    for path in [&id, "data-platform", "DATA-Platform"] {
        assert_eq!(owner.get(&format!("/api/v2/organizations/{path}")).await.expect(200), created);
    }
    // Runs of slashes and a slash at the end change nothing.
    assert_eq!(owner.get("//api/v2//organizations/data-platform/").await.expect(200), created);
    let list = owner.get("/api/v2/organizations").await.expect(200);
    assert_eq!(list_of(&list, "name"), ["data-platform", "orgplane"]);

    let path = format!("/api/v2/organizations/{id}");
    let renamed = owner.patch(&path, json!({"name": "data", "description": ""})).await.expect(200);
    assert_eq!((text(&renamed, "name"), text(&renamed, "description")), ("data".to_owned(), String::new()));
    assert_eq!((&renamed["icon"], &renamed["display_name"]), (&created["icon"], &created["display_name"]));
    let kept = owner.patch("/api/v2/organizations/data", json!({"name": "", "display_name": null})).await.expect(200);
    assert_eq!((&kept["name"], &kept["display_name"]), (&renamed["name"], &renamed["display_name"]));
    owner.get("/api/v2/organizations/data-platform").await.refused(404);

    let deleted = owner.delete("/api/v2/organizations/data").await.expect(200);
    assert!(!text(&deleted, "message").is_empty());
    for gone in [&id, "data"] {
        owner.get(&format!("/api/v2/organizations/{gone}")).await.refused(404);
        owner.delete(&format!("/api/v2/organizations/{gone}")).await.refused(404);
    }
    assert_ne!(owner.organization("data").await, id, "the name is free again");
}

async fn names_are_taken_once(database: Databases) {
    let deployment = Deployment::on(database).start().await;
    let owner = deployment.rest().first_user().await;
    let attempts = (0..8).map(|n| {
        let (owner, name) = (owner.clone(), if n % 2 == 0 { "Contended" } else { "contended" });
        tokio::spawn(async move { owner.post("/api/v2/organizations", json!({"name": name})).await })
    });
    let mut created = 0;
    for attempt in attempts.collect::<Vec<_>>() {
        let answer = attempt.await.unwrap();
        if answer.status == 201 {
            created += 1;
        } else {
            answer.refused_for(409, "name");
        }
    }
    assert_eq!(created, 1);
    owner.organization("other").await;
    owner.patch("/api/v2/organizations/other", json!({"name": "CONTENDED"})).await.refused_for(409, "name");
    for reserved in ["default", "new", "create"] {
        owner.post("/api/v2/organizations", json!({"name": reserved})).await.refused_for(400, "name");
        owner.patch("/api/v2/organizations/other", json!({"name": reserved})).await.refused_for(400, "name");
    }
}

async fn a_full_one_refuses_deletion(database: Databases) {
    let deployment = Deployment::on(database).start().await;
    let owner = deployment.rest().first_user().await;
    let organization = owner.organization("full").await;
    owner.key(&organization, "a-key", json!({})).await;
    owner.user("ada", &[&organization]).await;
    let answer = owner.delete("/api/v2/organizations/full").await.refused(409);
    for part in ["1 provisioner key", "1 member", "0 workspaces", "0 templates"] {
        assert!(answer.contains(part), "{part:?} in {answer}");
    }
    let _ = owner.delete(&format!("/api/v2/organizations/{organization}/provisionerkeys/a-key")).await.expect(204);
    assert!(owner.delete("/api/v2/organizations/full").await.refused(409).contains("0 provisioner keys"));
    let _ = owner.get("/api/v2/organizations/full").await.expect(200);
}

async fn the_default_one_stays(database: Databases) {
    let deployment = Deployment::on(database).start().await;
    let owner = deployment.rest().first_user().await;
    let default = owner.get("/api/v2/organizations/default").await.expect(200);
    assert_eq!(default["is_default"], true);
    let nil = owner.get("/api/v2/organizations/00000000-0000-0000-0000-000000000000").await.expect(200);
    assert_eq!(nil, default);
    owner.delete("/api/v2/organizations/default").await.refused(400);
    let renamed = owner.patch("/api/v2/organizations/default", json!({"name": "first"})).await.expect(200);
    assert_eq!(renamed["id"], default["id"]);
    assert_eq!(owner.get("/api/v2/organizations/default").await.expect(200)["name"], "first");
    owner.delete("/api/v2/organizations/first").await.refused(400);
}

fn list_of(list: &Value, member: &str) -> Vec<String> {
    list.as_array().unwrap().iter().map(|item| text(item, member)).collect()
}

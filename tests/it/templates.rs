//! `…/templates`: attached to an imported version, found by id and by name.

use orgplane_tests::world::text;
use orgplane_tests::{Archive, Deployment, Session};
use serde_json::json;

#[tokio::test]
async fn templates_are_created_and_found() {
    let deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let organization = owner.organization("data-platform").await;
    let other = owner.organization("other").await;
    let key = owner.key(&organization, "key", json!({})).await;
    let _daemon = Session::obedient(&deployment, &key, "one").await;
    let template = owner.template(&organization, "Echo-One", Archive::terraform("hello"), "terraform").await;
    assert_eq!((&template["name"], &template["provisioner"]), (&json!("Echo-One"), &json!("terraform")));
    assert_eq!(template["organization_name"], "data-platform");
    assert_eq!(template["created_by_name"], "owner");
    let id = text(&template, "id");
    assert_eq!(owner.get(&format!("/api/v2/templates/{id}")).await.expect(200)["id"], template["id"]);
    let by_name = owner.get("/api/v2/organizations/data-platform/templates/echo-one").await.expect(200);
    assert_eq!(by_name["id"], template["id"]);
    for path in ["/api/v2/templates", "/api/v2/organizations/data-platform/templates"] {
        let list = owner.get(path).await.expect(200);
        assert_eq!(list.as_array().map(Vec::len), Some(1), "{list}");
    }
    assert_eq!(owner.get("/api/v2/organizations/other/templates").await.expect(200), json!([]));
    owner.get("/api/v2/organizations/other/templates/echo-one").await.refused(404);

    // The version is the template's now.
    let version = owner.get(&format!("/api/v2/templateversions/{}", text(&template, "active_version_id"))).await;
    assert_eq!(version.expect(200)["template_id"], template["id"]);
    let create = |organization: &str, body| {
        let path = format!("/api/v2/organizations/{organization}/templates");
        let owner = owner.clone();
        async move { owner.post(&path, body).await }
    };
    let taken = json!({"name": "two", "template_version_id": template["active_version_id"]});
    create("data-platform", taken.clone()).await.refused(400);
    create(&other, taken).await.refused(404);
    let version = owner.import(&organization, Archive::terraform("bye"), "terraform", json!({})).await;
    let same = json!({"name": "ECHO-ONE", "template_version_id": version["id"]});
    create("data-platform", same).await.refused_for(409, "name");
    let nobody = json!({"name": "x", "template_version_id": "00000000-0000-4000-8000-000000000000"});
    create("data-platform", nobody).await.refused(404);
    for (member, value) in [
        ("name", json!("has space")),
        ("name", json!("")),
        ("display_name", json!(" x ")),
        ("description", json!("d".repeat(200))),
        ("template_version_id", json!("x")),
        ("default_ttl_ms", json!(1)),
        ("failure_ttl_ms", json!(-1)),
    ] {
        let mut body = json!({"name": "x", "template_version_id": version["id"]});
        body[member] = value;
        create("data-platform", body).await.refused_for(400, member);
    }
    assert_eq!(deployment.database().rows().await["template"], 1);
}

#[tokio::test]
async fn templates_are_searched_changed_and_deleted() {
    let deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let organization = owner.organization("data-platform").await;
    let other = owner.organization("other").await;
    let key = owner.key(&organization, "key", json!({})).await;
    let _daemon = Session::obedient(&deployment, &key, "one").await;
    let template = owner.template(&organization, "Echo-One", Archive::terraform("hello"), "terraform").await;
    let _second = owner.template(&organization, "echo-two", Archive::terraform("bye"), "terraform").await;
    let (ada, _) = owner.user("ada", &[&organization]).await;
    let (stranger, _) = owner.user("stranger", &[&other]).await;
    for (q, names) in [
        ("exact_name:echo-one", &["Echo-One"][..]),
        ("exact_name:%22ECHO-ONE%22", &["Echo-One"]),
        ("exact_name:echo", &[]),
        ("name:TWO", &["echo-two"]),
        ("organization:data-platform", &["Echo-One", "echo-two"]),
        ("organization:other", &[]),
        ("author:me", &["Echo-One", "echo-two"]),
        ("author:ada", &[]),
        ("deprecated:true", &[]),
        ("deprecated:false", &["Echo-One", "echo-two"]),
    ] {
        let list = owner.get(&format!("/api/v2/templates?q={q}")).await.expect(200);
        let found: Vec<_> = list.as_array().unwrap().iter().map(|t| text(t, "name")).collect();
        assert_eq!(found, names, "{q}");
    }
    for q in ["color:red", "organization:nowhere", "author_id:x", "deprecated:maybe", "a:b:c"] {
        owner.get(&format!("/api/v2/templates?q={q}")).await.refused(400);
    }

    // Another version, made active.
    let path = format!("/api/v2/templates/{}", text(&template, "id"));
    let file = owner.upload(Archive::terraform("more")).await;
    let body = json!({"storage_method": "file", "file_id": file.body["hash"], "provisioner": "terraform",
        "template_id": template["id"]});
    let version = owner.post(&format!("/api/v2/organizations/{organization}/templateversions"), body).await.expect(201);
    let version = owner.imported(&text(&version, "id"), orgplane_tests::LONG).await;
    let versions = format!("{path}/versions");
    ada.patch(&versions, json!({"id": version["id"]})).await.refused(403);
    stranger.patch(&versions, json!({"id": version["id"]})).await.refused(404);
    let workspace = ada.workspace("dev", &template).await;
    let _ = owner.patch(&versions, json!({"id": version["id"]})).await.expect(200);
    assert_eq!(owner.get(&path).await.expect(200)["active_version_id"], version["id"]);
    let now = ada.get(&format!("/api/v2/workspaces/{}", text(&workspace, "id"))).await.expect(200);
    assert_eq!(now["outdated"], true);
    assert_eq!(ada.get("/api/v2/workspaces?q=outdated:true").await.expect(200)["count"], 1);

    // Not while it is in use; then its name is free again.
    ada.delete(&path).await.refused(403);
    stranger.delete(&path).await.refused(404);
    owner.delete(&path).await.refused(400);
    ada.built(&text(&workspace["latest_build"], "id"), orgplane_tests::LONG).await;
    let build = ada.build(&workspace, "delete").await;
    ada.built(&text(&build, "id"), orgplane_tests::LONG).await;
    let _ = owner.delete(&path).await.expect(200);
    owner.get(&path).await.refused(404);
    owner.delete(&path).await.refused(404);
    ada.post("/api/v2/users/me/workspaces", json!({"name": "x", "template_id": template["id"]})).await.refused(404);
    let again = owner.template(&organization, "echo-one", Archive::terraform("again"), "terraform").await;
    assert_ne!(again["id"], template["id"]);
}

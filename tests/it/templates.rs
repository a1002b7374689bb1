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

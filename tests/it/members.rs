//! `/api/v2/organizations/{organization}/members` and what hangs on it: who is a member, with which roles, and what that
//! means for calls that go on.

use orgplane_tests::world::text;
use orgplane_tests::{Archive, Databases, Deployment, Rest};
use serde_json::{Value, json};

on_each_database!(members_come_and_go, roles_are_made_given_and_taken, a_removed_member_sees_nothing_more);

/// Without a record: what clients expect of some answers isn't what the published schema says of them.
fn unrecorded(deployment: &Deployment, client: &Rest) -> Rest {
    Rest::new(deployment.rest_url()).with(client.token())
}

fn names(list: &Value, member: &str) -> Vec<String> {
    list.as_array().unwrap().iter().map(|item| text(item, member)).collect()
}

async fn members_come_and_go(database: Databases) {
    let deployment = Deployment::on(database).start().await;
    let owner = deployment.rest().first_user().await;
    let (here, there) = (owner.organization("data-platform").await, owner.organization("elsewhere").await);
    let (admin, admin_id) = owner.user("Ann", &[&here]).await;
    let (bob, bob_id) = owner.user("bob", &[&there]).await;
    let members = format!("/api/v2/organizations/{here}/members");
    let roles = json!({"roles": ["organization-admin"]});
    let given = owner.put(&format!("{members}/ann/roles"), roles).await.expect(200);
    assert_eq!(
        given["roles"],
        json!([{"name": "organization-admin", "display_name": "Organization Admin", "organization_id": here}])
    );
    bob.get(&members).await.refused(404);
    let added = admin.post(&format!("{members}/bob"), json!(null)).await.expect(200);
    assert_eq!((&added["user_id"], &added["roles"]), (&json!(bob_id), &json!([])));

    let list = bob.get(&format!("{members}/")).await.expect(200);
    assert_eq!(names(&list, "username"), ["Ann", "bob", "owner"]);
    assert_eq!(list, admin.get("/api/v2/organizations/DATA-platform/members").await.expect(200));
    assert_eq!(list[2]["global_roles"], json!([{"name": "owner", "display_name": "Owner"}]));
    assert_eq!((&list[2]["name"], &list[1]["email"]), (&json!("The Owner"), &json!("bob@example.com")));
    let of_bob = &list[1];
    for member in ["user_created_at", "user_updated_at", "created_at", "updated_at", "last_seen_at"] {
        assert!(text(of_bob, member).ends_with('Z'), "{of_bob}");
    }
    for one in ["BOB", &bob_id] {
        assert_eq!(&admin.get(&format!("{members}/{one}")).await.expect(200), of_bob);
    }
    admin.get(&format!("{members}/nobody")).await.refused(404);

    let page = |query: &str| format!("/api/v2/organizations/{here}/paginated-members?{query}");
    let client = unrecorded(&deployment, &bob);
    let first = client.get(&page("limit=2")).await.expect(200);
    assert_eq!((&first["count"], names(&first["members"], "username")), (&json!(3), vec!["Ann".into(), "bob".into()]));
    let next = client.get(&page(&format!("limit=2&after_id={bob_id}"))).await.expect(200);
    assert_eq!(names(&next["members"], "username"), ["owner"]);
    assert_eq!(client.get(&page("q=an&offset=1")).await.expect(200)["members"], json!([]));
    client.get(&page("limit=-1")).await.refused_for(400, "limit");
    client.get(&page("after_id=x")).await.refused_for(400, "after_id");
    client.get(&page("q=color:red")).await.refused_for(400, "color");

    admin.delete(&format!("{members}/{admin_id}")).await.refused(400);
    bob.delete(&format!("{members}/ann")).await.refused(403);
    let _ = admin.delete(&format!("{members}/bob")).await.expect(204);
    admin.delete(&format!("{members}/bob")).await.refused(404);
    bob.get(&members).await.refused(404);
}

async fn roles_are_made_given_and_taken(database: Databases) {
    let deployment = Deployment::on(database).start().await;
    let owner = deployment.rest().first_user().await;
    let here = owner.organization("data-platform").await;
    let (bob, _) = owner.user("bob", &[&here]).await;
    let roles = format!("/api/v2/organizations/{here}/members/roles");
    let permission = |resource: &str, action: &str| json!({"resource_type": resource, "action": action});
    let body = json!({
        "name": "key-maker", "display_name": "Key maker", "organization_id": "ignored",
        "organization_permissions": [permission("provisioner_daemon", "create")], "site_permissions": [],
    });
    let client = unrecorded(&deployment, &owner);
    let made = client.post(&roles, body.clone()).await.expect(200);
    let grants = json!([{"negate": false, "resource_type": "provisioner_daemon", "action": "create"}]);
    assert_eq!(
        made,
        json!({
            "name": "key-maker", "display_name": "Key maker", "organization_id": here, "organization_permissions": grants,
            "site_permissions": [], "user_permissions": [], "organization_member_permissions": [],
        })
    );
    client.post(&roles, body).await.refused_for(400, "name");
    client.post(&roles, json!({"name": "owner"})).await.refused_for(400, "name");
    let unknown = json!({"name": "x", "organization_permissions": [permission("moon", "walk")]});
    client.post(&roles, unknown).await.refused_for(400, "organization_permissions");
    let of_site = json!({"name": "x", "site_permissions": [permission("template", "read")]});
    client.post(&roles, of_site).await.refused_for(400, "site_permissions");
    bob.post(&roles, json!({"name": "mine"})).await.refused(403);

    let list = bob.get(&roles).await.expect(200);
    assert_eq!(names(&list, "name")[5..], ["key-maker"], "after those that every organization has");
    assert!(list.as_array().unwrap().iter().all(|role| role["assignable"] == false));
    assert_eq!((&list[5]["organization_permissions"], &list[5]["built_in"]), (&grants, &json!(false)));
    assert_eq!((&list[0]["name"], &list[0]["built_in"]), (&json!("organization-admin"), &json!(true)));
    let list = owner.get(&roles).await.expect(200);
    assert!(list.as_array().unwrap().iter().all(|role| role["assignable"] == true));

    // What is given, changed and taken counts from the next call on.
    let member = format!("/api/v2/organizations/{here}/members/bob/roles");
    let keys = format!("/api/v2/organizations/{here}/provisionerkeys");
    bob.post(&keys, json!({"name": "a"})).await.refused(403);
    let given = owner.put(&member, json!({"roles": ["Key-Maker", "organization-auditor"]})).await.expect(200);
    assert_eq!(names(&given["roles"], "display_name"), ["Organization Auditor", "Key maker"]);
    let _ = bob.post(&keys, json!({"name": "a"})).await.expect(201);
    owner.put(&member, json!({"roles": ["organization-member"]})).await.refused_for(400, "roles");
    owner.put(&member, json!({"roles": ["nothing"]})).await.refused_for(400, "roles");
    owner.put(&format!("/api/v2/organizations/{here}/members/me/roles"), json!({"roles": []})).await.refused(400);
    bob.put(&member, json!({"roles": []})).await.refused(403);

    let change = json!({
        "name": "key-maker", "organization_permissions": [permission("template", "create"), permission("moon", "walk")],
    });
    let changed = client.put(&roles, change).await.expect(200);
    assert_eq!(changed["organization_permissions"][0]["resource_type"], "template");
    assert_eq!(changed["organization_permissions"].as_array().unwrap().len(), 1, "{changed}");
    bob.post(&keys, json!({"name": "b"})).await.refused(403);
    client.put(&roles, json!({"name": "nothing"})).await.refused(404);

    let _ = owner.delete(&format!("{roles}/KEY-maker")).await.expect(204);
    owner.delete(&format!("{roles}/key-maker")).await.refused(404);
    let left = bob.get(&format!("/api/v2/organizations/{here}/members/bob")).await.expect(200);
    assert_eq!(names(&left["roles"], "name"), ["organization-auditor"]);
    // Each change has its entry, and so has each that was refused.
    assert!(deployment.database().number("SELECT count(*) FROM audit_log").await >= 15);
}

async fn a_removed_member_sees_nothing_more(database: Databases) {
    let deployment = Deployment::on(database).start().await;
    let (owner, organization, _) = deployment.furnished().await;
    let (bob, _) = owner.user("bob", &[&organization]).await;
    let version = text(&owner.import(&organization, Archive::terraform("x"), "terraform", json!({})).await, "id");
    let path = format!("/api/v2/templateversions/{version}");
    let mut log = bob.socket(&format!("{path}/logs?follow")).await;
    let _ = owner.delete(&format!("/api/v2/organizations/{organization}/members/bob")).await.expect(204);
    bob.get(&path).await.refused(404);
    let (_, closed) = log.rest().await;
    assert_eq!(closed.expect("a close frame").0, 1008, "the open stream has ended");
}

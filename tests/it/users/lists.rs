//! `GET /api/v2/users`: the search language, pages, and who sees whom.

use orgplane_tests::deployment::PASSWORD;
use orgplane_tests::world::text;
use orgplane_tests::{Databases, Deployment, Rest};
use serde_json::{Value, json};

on_each_database!(a_search_finds_what_it_says, pages_follow_each_other, people_see_whom_they_may);

/// The usernames that a query finds, in order.
async fn found(client: &Rest, query: &str) -> Vec<String> {
    let answer = client.send(client.request(reqwest::Method::GET, &format!("/api/v2/users?{query}"))).await;
    let list = answer.expect(200);
    list["users"].as_array().unwrap().iter().map(|user| text(user, "username")).collect()
}

async fn create(owner: &Rest, body: Value) -> Value {
    let mut whole = json!({"login_type": "none", "user_status": "active"});
    whole.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
    owner.post("/api/v2/users", whole).await.expect(201)
}

async fn a_search_finds_what_it_says(database: Databases) {
    // `dormant` isn't in the contract.
    let deployment = Deployment::on(database).unrecorded().start().await;
    let owner = deployment.rest().first_user().await;
    let default = owner.default_organization().await;
    for (username, email, name, status, roles) in [
        ("Ada", "ada@math.example", "Ada Lovelace", "active", json!(["auditor"])),
        ("bob", "bob_100%@x.example", "Bob", "suspended", json!([])),
        ("cleo", "cleo@math.example", "Cleopatra", "dormant", json!(["user-admin", "auditor"])),
    ] {
        create(
            &owner,
            json!({"username": username, "email": email, "name": name, "user_status": status, "roles": roles,
                "organization_ids": [default]}),
        )
        .await;
    }
    let everybody = ["Ada", "bob", "cleo", "owner"];
    for (q, expected) in [
        ("", &everybody[..]),
        ("ADA", &["Ada"]),
        ("math", &["Ada", "cleo"]),
        ("search:math.EXAMPLE", &["Ada", "cleo"]),
        ("%25", &["bob"]),
        ("_", &["bob"]),
        ("b_b", &[]),
        ("!", &[]),
        ("name:love", &["Ada"]),
        ("name:%22ada lovelace%22", &["Ada"]),
        ("status:active", &["Ada", "owner"]),
        ("status:suspended,dormant", &["bob", "cleo"]),
        ("status:suspended status:active", &["Ada", "bob", "owner"]),
        ("role:auditor", &["Ada", "cleo"]),
        ("role:user-admin,owner", &["cleo", "owner"]),
        ("role:member", &everybody),
        ("role:member,owner", &everybody),
        ("login_type:password", &["owner"]),
        ("login_type:none", &["Ada", "bob", "cleo"]),
        ("login_type:oidc", &[]),
        ("service_account:true", &[]),
        ("service_account:false", &everybody),
        ("last_seen_before:%222000-01-01T00:00:00Z%22", &["Ada", "bob", "cleo"]),
        ("last_seen_after:%222000-01-01T00:00:00Z%22", &["owner"]),
        ("created_after:%222000-01-01t00:00:00z%22", &everybody),
        ("created_before:%222000-01-01T00:00:00Z%22", &[]),
        ("math status:active role:auditor", &["Ada"]),
    ] {
        assert_eq!(found(&owner, &format!("q={q}")).await, expected, "{q}");
    }
    for (query, field) in [
        ("q=status:happy", "status"),
        ("q=role:king", "role"),
        ("q=login_type:magic", "login_type"),
        ("q=service_account:maybe", "service_account"),
        ("q=created_after:2000-01-01", "created_after"),
        ("q=last_seen_before:yesterday", "last_seen_before"),
        ("q=github_com_user_id:1", "github_com_user_id"),
        ("q=color:red", "color"),
        ("q=a:b:c", "q"),
        ("limit=-1", "limit"),
        ("offset=x", "offset"),
        ("after_id=x", "after_id"),
    ] {
        owner.get(&format!("/api/v2/users?{query}")).await.refused_for(400, field);
    }
}

async fn pages_follow_each_other(database: Databases) {
    let deployment = Deployment::on(database).start().await;
    let owner = deployment.rest().first_user().await;
    let default = owner.default_organization().await;
    let names = ["ann", "Bea", "cy", "Dan", "eve"];
    for name in names {
        let body = json!({"username": name, "email": format!("{name}@example.com"), "organization_ids": [default]});
        create(&owner, body).await;
    }
    let all = owner.get("/api/v2/users").await.expect(200);
    assert_eq!(all["count"], 6);
    assert_eq!(found(&owner, "limit=2").await, ["ann", "Bea"]);
    assert_eq!(found(&owner, "limit=2&offset=4").await, ["eve", "owner"]);
    let page = owner.get("/api/v2/users?limit=1&offset=99").await.expect(200);
    assert_eq!((&page["users"], &page["count"]), (&json!([]), &json!(6)));
    let (mut paged, mut after) = (Vec::new(), String::new());
    loop {
        let page = owner.get(&format!("/api/v2/users?limit=2&after_id={after}")).await.expect(200);
        assert_eq!(page["count"], 6);
        let Some(last) = page["users"].as_array().unwrap().last() else { break };
        after = text(last, "id");
        paged.extend(page["users"].as_array().unwrap().clone());
    }
    assert_eq!(Value::Array(paged), all["users"]);
    assert_eq!(found(&owner, &format!("after_id={}", uuid::Uuid::new_v4())).await, Vec::<String>::new());
    // The place of one who was deleted since is still one.
    let cy = text(&owner.get("/api/v2/users/cy").await.expect(200), "id");
    let _ = owner.delete("/api/v2/users/cy").await.expect(200);
    assert_eq!(found(&owner, &format!("limit=1&after_id={cy}")).await, ["Dan"]);
}

async fn people_see_whom_they_may(database: Databases) {
    // The document of the API has a user where a user's roles are.
    let deployment = Deployment::on(database).unrecorded().start().await;
    let owner = deployment.rest().first_user().await;
    let (here, there) = (owner.organization("here").await, owner.organization("there").await);
    let (admin, admin_id) = owner.user("admin", &[&here]).await;
    owner.give(&here, &admin_id, "organization-admin").await;
    let (member, member_id) = owner.user("member", &[&here, &there]).await;
    let (_, stranger_id) = owner.user("stranger", &[&there]).await;
    owner.give(&there, &member_id, "organization-admin").await;
    let body = json!({"username": "auditor", "email": "auditor@example.com", "password": PASSWORD,
        "user_status": "active", "organization_ids": [there], "roles": ["auditor"]});
    let _ = owner.post("/api/v2/users", body).await.expect(201);
    let auditor = deployment.rest().login("auditor@example.com").await;

    let everybody = ["admin", "auditor", "member", "owner", "stranger"];
    assert_eq!(found(&owner, "").await, everybody);
    assert_eq!(found(&auditor, "").await, everybody);
    // The owner made both organizations, and so is a member of them.
    assert_eq!(found(&admin, "").await, ["admin", "member", "owner"]);
    assert_eq!(found(&member, "").await, ["auditor", "member", "owner", "stranger"]);
    assert_eq!(admin.get("/api/v2/users").await.expect(200)["count"], 3);
    assert_eq!(found(&admin, &format!("after_id={stranger_id}")).await, Vec::<String>::new());
    admin.get("/api/v2/users/stranger").await.refused(404);

    // Of another organization not even that somebody is in it is told.
    let seen = admin.get("/api/v2/users/member").await.expect(200);
    assert_eq!(seen["organization_ids"], json!([here]));
    let listed = admin.get("/api/v2/users?q=member").await.expect(200);
    assert_eq!(listed["users"], json!([seen]));
    let roles = admin.get("/api/v2/users/member/roles").await;
    assert_eq!(roles.expect(200)["organization_roles"], json!({}));
    let own = member.get("/api/v2/users/me/roles").await;
    assert_eq!(own.expect(200)["organization_roles"], json!({there.clone(): ["organization-admin"]}));
    let organizations = admin.get("/api/v2/users/member/organizations").await.expect(200);
    assert_eq!(organizations.as_array().unwrap().len(), 1, "{organizations}");
    admin.get("/api/v2/users/member/organizations/there").await.refused(404);
    assert_eq!(admin.get("/api/v2/users/member/organizations/here").await.expect(200)["id"], json!(here));
    owner.get(&format!("/api/v2/users/member/organizations/{here}")).await.refused(404);
    let mut both = [here, there];
    both.sort();
    assert_eq!(member.get("/api/v2/users/me").await.expect(200)["organization_ids"], json!(both));
    assert_eq!(owner.get("/api/v2/users/member").await.expect(200)["organization_ids"], json!(both));
}

//! What is done to accounts: profile, status, password, roles, deletion.

use orgplane_tests::deployment::{OWNER, PASSWORD};
use orgplane_tests::world::text;
use orgplane_tests::{Archive, Daemon, Databases, Deployment, Rest, SHORT, eventually};
use serde_json::{Value, json};

on_each_database!(
    a_profile_is_changed,
    suspended_users_are_kept_out,
    a_password_is_changed,
    roles_are_given_and_taken,
    roles_are_offered,
    a_deleted_user_is_gone,
    a_user_with_workspaces_stays,
    users_rest_and_come_back,
);

const NEW_PASSWORD: &str = "Another-Horse-8-Staple";

/// A user admin of the site.
async fn user_admin(deployment: &Deployment, owner: &Rest) -> Rest {
    let default = owner.default_organization().await;
    let body = json!({"username": "keeper", "email": "keeper@example.com", "password": PASSWORD,
        "user_status": "active", "organization_ids": [default], "roles": ["user-admin", "member"]});
    let created = owner.post("/api/v2/users", body).await.expect(201);
    assert_eq!(created["roles"][0]["name"], "user-admin", "{created}");
    deployment.rest().login("keeper@example.com").await
}

async fn a_profile_is_changed(database: Databases) {
    let deployment = Deployment::on(database).start().await;
    let owner = deployment.rest().first_user().await;
    let default = owner.default_organization().await;
    let (ada, id) = owner.user("ada", &[&default]).await;
    let changed = ada.put("/api/v2/users/me/profile", json!({"username": "ada", "name": "Ada L."})).await.expect(200);
    assert_eq!((&changed["name"], &changed["id"]), (&json!("Ada L."), &json!(id)));
    ada.put("/api/v2/users/me/profile", json!({"username": "ada2", "name": ""})).await.refused(403);
    let path = format!("/api/v2/users/{id}/profile");
    owner.put(&path, json!({"username": "OWNER", "name": ""})).await.refused_for(409, "username");
    owner.put(&path, json!({"name": "x"})).await.refused_for(400, "username");
    owner.put(&path, json!({"username": "a", "name": " x"})).await.refused_for(400, "name");
    let keeper = user_admin(&deployment, &owner).await;
    let changed = keeper.put(&path, json!({"username": "countess"})).await.expect(200);
    assert_eq!((&changed["username"], changed["name"].is_null()), (&json!("countess"), true), "{changed}");
    keeper.put("/api/v2/users/owner/profile", json!({"username": "owned"})).await.refused(403);
    owner.get("/api/v2/users/ada").await.refused(404);
    owner.put("/api/v2/users/ada/profile", json!({"username": "x"})).await.refused(404);
}

async fn suspended_users_are_kept_out(database: Databases) {
    let deployment = Deployment::on(database).start().await;
    let (owner, organization, _) = deployment.furnished().await;
    let (ada, _) = owner.user("ada", &[&organization]).await;
    let tags = json!({"nobody": "has this"});
    let version = owner.import(&organization, Archive::terraform("hello"), "terraform", tags).await;
    let mut socket = ada.socket(&format!("/api/v2/templateversions/{}/logs?follow", text(&version, "id"))).await;

    let suspended = owner.put("/api/v2/users/ada/status/suspend", json!({})).await.expect(200);
    assert_eq!(suspended["status"], "suspended");
    ada.get("/api/v2/users/me").await.refused(401);
    let login = json!({"email": "ada@example.com", "password": PASSWORD});
    deployment.rest().post("/api/v2/users/login", login).await.refused(401);
    let (_, closed) = socket.rest().await;
    assert_eq!(closed.expect("a close frame").0, 1008);
    assert_eq!(owner.put("/api/v2/users/ada/status/suspend", json!({})).await.expect(200)["status"], "suspended");
    assert_eq!(owner.put("/api/v2/users/ada/status/activate", json!({})).await.expect(200)["status"], "active");
    let _ = ada.get("/api/v2/users/me").await.expect(200);

    owner.put("/api/v2/users/me/status/suspend", json!({})).await.refused(400);
    let keeper = user_admin(&deployment, &owner).await;
    keeper.put("/api/v2/users/owner/status/suspend", json!({})).await.refused(403);
    let _ = keeper.put("/api/v2/users/ada/status/suspend", json!({})).await.expect(200);
    let _ = keeper.put("/api/v2/users/ada/status/activate", json!({})).await.expect(200);
    let _ = owner.put("/api/v2/users/ada/roles", json!({"roles": ["owner"]})).await.expect(200);
    owner.put("/api/v2/users/ada/status/suspend", json!({})).await.refused(400);
}

async fn a_password_is_changed(database: Databases) {
    let deployment = Deployment::on(database).start().await;
    let owner = deployment.rest().first_user().await;
    let default = owner.default_organization().await;
    let (ada, _) = owner.user("ada", &[&default]).await;
    let other = deployment.rest().login("ada@example.com").await;
    let own = "/api/v2/users/me/password";
    for (body, field) in [
        (json!({"password": NEW_PASSWORD}), "old_password"),
        (json!({"old_password": "wrong", "password": NEW_PASSWORD}), "old_password"),
        (json!({"old_password": PASSWORD, "password": "weak"}), "password"),
        (json!({"old_password": PASSWORD, "password": PASSWORD}), "password"),
    ] {
        ada.put(own, body).await.refused_for(400, field);
    }
    let _ = ada.put(own, json!({"old_password": PASSWORD, "password": NEW_PASSWORD})).await.expect(204);
    for session in [&ada, &other] {
        session.get("/api/v2/users/me").await.refused(401);
    }
    let login = |password: &str| json!({"email": "ada@example.com", "password": password});
    deployment.rest().post("/api/v2/users/login", login(PASSWORD)).await.refused(401);
    let _ = deployment.rest().post("/api/v2/users/login", login(NEW_PASSWORD)).await.expect(201);

    // Others set it without the old one, but not that of somebody who has more than they.
    let keeper = user_admin(&deployment, &owner).await;
    let path = "/api/v2/users/ada/password";
    keeper.put(path, json!({"password": NEW_PASSWORD})).await.refused_for(400, "password");
    let _ = keeper.put(path, json!({"password": PASSWORD})).await.expect(204);
    let _ = deployment.rest().post("/api/v2/users/login", login(PASSWORD)).await.expect(201);
    keeper.put("/api/v2/users/owner/password", json!({"password": NEW_PASSWORD})).await.refused(403);
    let _ = deployment.rest().login(OWNER.0).await;
    let machine = json!({"username": "ci", "email": "ci@example.com", "login_type": "none",
        "user_status": "active", "organization_ids": [default]});
    let _ = owner.post("/api/v2/users", machine).await.expect(201);
    owner.put("/api/v2/users/ci/password", json!({"password": NEW_PASSWORD})).await.refused_for(400, "password");

    let check = "/api/v2/users/validate-password";
    let good = deployment.rest().post(check, json!({"password": PASSWORD})).await.expect(200);
    assert_eq!(good, json!({"valid": true, "details": ""}));
    let bad = deployment.rest().post(check, json!({"password": "x"})).await.expect(200);
    assert!(bad["valid"] == false && !text(&bad, "details").is_empty(), "{bad}");
    let me = deployment.rest().login("ada@example.com").await;
    assert_eq!(me.get("/api/v2/users/ada/login-type").await.expect(200), json!({"login_type": "password"}));
    me.get("/api/v2/users/owner/login-type").await.refused(404);
    owner.get("/api/v2/users/ada/login-type").await.refused(403);
}

async fn roles_are_given_and_taken(database: Databases) {
    // The document of the API has a user where a user's roles are.
    let deployment = Deployment::on(database).unrecorded().start().await;
    let owner = deployment.rest().first_user().await;
    let default = owner.default_organization().await;
    let (ada, _) = owner.user("ada", &[&default]).await;
    let roles = |names: &[&str]| json!({"roles": names});
    let path = "/api/v2/users/ada/roles";
    let changed = owner.put(path, roles(&["auditor", "user-admin", "member"])).await.expect(200);
    assert_eq!(names(&changed["roles"]), ["user-admin", "auditor"]);
    let shown = ada.get("/api/v2/users/me/roles").await.expect(200);
    assert_eq!(shown, json!({"roles": ["user-admin", "auditor"], "organization_roles": {}}));
    let replaced = owner.put(path, roles(&["template-admin"])).await.expect(200);
    assert_eq!(names(&replaced["roles"]), ["template-admin"]);
    owner.put(path, roles(&["king"])).await.refused_for(400, "roles");
    owner.put(path, roles(&["organization-admin"])).await.refused_for(400, "roles");
    owner.put("/api/v2/users/me/roles", roles(&["owner", "auditor"])).await.refused_for(400, "roles");
    ada.put(path, roles(&["owner"])).await.refused(403);

    let keeper = user_admin(&deployment, &owner).await;
    keeper.put("/api/v2/users/owner/roles", roles(&[])).await.refused(403);
    keeper.put(path, roles(&[])).await.refused(403);
    let (_, _) = owner.user("bob", &[&default]).await;
    keeper.put("/api/v2/users/bob/roles", roles(&["auditor"])).await.refused_for(400, "roles");
    assert_eq!(keeper.put("/api/v2/users/bob/roles", roles(&[])).await.expect(200)["roles"], json!([]));
    let body = json!({"username": "eve", "email": "eve@example.com", "login_type": "none",
        "organization_ids": [default], "roles": ["owner"]});
    keeper.post("/api/v2/users", body).await.refused_for(400, "roles");
}

async fn roles_are_offered(database: Databases) {
    let deployment = Deployment::on(database).start().await;
    let owner = deployment.rest().first_user().await;
    let keeper = user_admin(&deployment, &owner).await;
    let offered = owner.get("/api/v2/users/roles").await.expect(200);
    assert_eq!(names(&offered), ["owner", "user-admin", "template-admin", "auditor"]);
    assert!(offered.as_array().unwrap().iter().all(|role| role["assignable"] == true && role["built_in"] == true));
    assert!(!offered[3]["site_permissions"].as_array().unwrap().is_empty(), "{offered}");
    let offered = keeper.get("/api/v2/users/roles").await.expect(200);
    assert!(offered.as_array().unwrap().iter().all(|role| role["assignable"] == false), "{offered}");
}

fn names(roles: &Value) -> Vec<String> {
    roles.as_array().unwrap().iter().map(|role| text(role, "name")).collect()
}

async fn a_deleted_user_is_gone(database: Databases) {
    let deployment = Deployment::on(database).start().await;
    let (owner, organization, _) = deployment.furnished().await;
    let (ada, id) = owner.user("ada", &[&organization]).await;
    owner.give(&organization, &id, "organization-admin").await;
    let tags = json!({"nobody": "has this"});
    let version = owner.import(&organization, Archive::terraform("hello"), "terraform", tags).await;
    let mut socket = ada.socket(&format!("/api/v2/templateversions/{}/logs?follow", text(&version, "id"))).await;
    let before = deployment.database().rows().await;

    let deleted = owner.delete("/api/v2/users/ada").await.expect(200);
    assert!(!text(&deleted, "message").is_empty());
    ada.get("/api/v2/users/me").await.refused(401);
    let (_, closed) = socket.rest().await;
    assert_eq!(closed.expect("a close frame").0, 1008);
    let login = json!({"email": "ada@example.com", "password": PASSWORD});
    deployment.rest().post("/api/v2/users/login", login).await.refused(401);
    for path in [&id, "ada"] {
        owner.get(&format!("/api/v2/users/{path}")).await.refused(404);
        owner.delete(&format!("/api/v2/users/{path}")).await.refused(404);
    }
    let after = deployment.database().rows().await;
    for table in ["api_key", "organization_member", "role_grant"] {
        assert_eq!(after[table], before[table] - 1, "{table}");
    }
    assert_eq!(after["user_account"], before["user_account"], "the row is kept");
    let (_, again) = owner.user("ada", &[&organization]).await;
    assert_ne!(again, id, "the name and the address are free again");

    owner.delete("/api/v2/users/me").await.refused(403);
    let keeper = user_admin(&deployment, &owner).await;
    keeper.delete("/api/v2/users/owner").await.refused(403);
    let _ = keeper.delete("/api/v2/users/ada").await.expect(200);
}

async fn a_user_with_workspaces_stays(database: Databases) {
    let deployment = Deployment::on(database).unrecorded().start().await;
    let (owner, organization, key) = deployment.furnished().await;
    let (ada, _) = owner.user("ada", &[&organization]).await;
    let _daemon = Daemon::start(&deployment, "one", &key, "echo");
    let template = owner.template(&organization, "echo", Archive::echo(&json!({})), "echo").await;
    let workspace = ada.workspace("dev", &template).await;
    let refused = owner.delete("/api/v2/users/ada").await.refused(417);
    assert!(refused.contains("1 workspaces"), "{refused}");
    owner.built(&text(&workspace["latest_build"], "id"), orgplane_tests::LONG).await;
    let build = owner.build(&workspace, "delete").await;
    owner.built(&text(&build, "id"), orgplane_tests::LONG).await;
    let _ = owner.delete("/api/v2/users/ada").await.expect(200);
    owner.post("/api/v2/users/ada/workspaces", json!({"name": "x", "template_id": template["id"]})).await.refused(404);
}

async fn users_rest_and_come_back(database: Databases) {
    // The contract's users have no such status.
    let mut deployment = Deployment::on(database).flag("--dormancy-threshold", "30d").unrecorded().start().await;
    let owner = deployment.rest().first_user().await;
    let default = owner.default_organization().await;
    let (ada, _) = owner.user("ada", &[&default]).await;
    owner.user("bob", &[&default]).await;
    owner.user("cleo", &[&default]).await;
    let _ = ada.get("/api/v2/users/me").await.expect(200);
    let _ = owner.put("/api/v2/users/cleo/status/suspend", json!({})).await.expect(200);
    let long_ago = "UPDATE user_account SET last_seen_at = 1, created_at = 1 WHERE username IN ('ada', 'cleo')";
    deployment.database().execute(long_ago).await;
    assert_eq!(deployment.stop().await.code(), Some(0));
    deployment.start_again().await;
    let status = async |name: &str| text(&owner.get(&format!("/api/v2/users/{name}")).await.expect(200), "status");
    eventually("ada to be dormant", SHORT, async || (status("ada").await == "dormant").then_some(())).await;
    assert_eq!((status("bob").await, status("cleo").await), ("active".to_owned(), "suspended".to_owned()));
    let _ = ada.get("/api/v2/users/me").await.expect(200);
    assert_eq!(status("ada").await, "active");
}

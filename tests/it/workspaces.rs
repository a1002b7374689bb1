//! `…/workspaces`: created with a first build, seen by their owner, gone after a delete build.

use orgplane_tests::world::text;
use orgplane_tests::{Archive, Databases, Deployment, LONG, Session};
use serde_json::json;

#[tokio::test]
async fn a_workspace_from_start_to_delete() {
    let deployment = Deployment::start().await;
    let (owner, organization, key) = deployment.furnished().await;
    let _daemon = Session::obedient(&deployment, &key, "one").await;
    let template = owner.template(&organization, "echo", Archive::terraform("hello"), "terraform").await;
    let (ada, ada_id) = owner.user("ada", &[&organization]).await;
    let (bob, _) = owner.user("bob", &[&organization]).await;

    let workspace = ada.workspace("Dev-1", &template).await;
    assert_eq!((&workspace["owner_id"], &workspace["owner_name"]), (&json!(ada_id), &json!("ada")));
    assert_eq!(workspace["latest_build"]["build_number"], 1);
    assert_eq!(workspace["latest_build"]["transition"], "start");
    assert_eq!(workspace["organization_name"], "data-platform");
    let build = ada.built(&text(&workspace["latest_build"], "id"), LONG).await;
    assert_eq!((&build["status"], &build["job"]["status"]), (&json!("running"), &json!("succeeded")), "{build}");

    let path = format!("/api/v2/workspaces/{}", text(&workspace, "id"));
    for path in [path.as_str(), "/api/v2/users/me/workspace/dev-1", "/api/v2/users/ada/workspace/Dev-1"] {
        assert_eq!(ada.get(path).await.expect(200)["id"], workspace["id"]);
    }
    assert_eq!(owner.get(&path).await.expect(200)["outdated"], false);
    bob.get(&path).await.refused(404);
    bob.get("/api/v2/users/ada/workspace/dev-1").await.refused(404);
    bob.post(&format!("{path}/builds"), json!({"transition": "delete"})).await.refused(404);

    // The name is the owner's own: taken for her, free for others.
    let body = json!({"name": "DEV-1", "template_id": template["id"]});
    ada.post("/api/v2/users/me/workspaces", body.clone()).await.refused_for(409, "name");
    let _ = bob.post("/api/v2/users/me/workspaces", body).await.expect(201);

    // The older path, which names the organization too.
    let body = json!({"name": "old-path", "template_version_id": template["active_version_id"]});
    let old = format!("/api/v2/organizations/{organization}/members/ada/workspaces");
    assert_eq!(owner.post(&old, body).await.expect(201)["owner_name"], "ada");

    let build = ada.build(&workspace, "delete").await;
    ada.post(&format!("{path}/builds"), json!({"transition": "start"})).await.refused(409);
    let build = ada.built(&text(&build, "id"), LONG).await;
    assert_eq!(build["status"], "deleted", "{build}");
    ada.get(&path).await.refused(410);
    assert_eq!(ada.get(&format!("{path}?include_deleted=true")).await.expect(200)["id"], workspace["id"]);
    ada.get("/api/v2/users/me/workspace/dev-1").await.refused(404);
    ada.post(&format!("{path}/builds"), json!({"transition": "start"})).await.refused(409);
    let again = ada.workspace("dev-1", &template).await;
    assert_ne!(again["id"], workspace["id"]);
}

#[tokio::test]
async fn what_a_workspace_may_be_made_of() {
    let deployment = Deployment::start().await;
    let (owner, organization, key) = deployment.furnished().await;
    let daemon = Session::obedient(&deployment, &key, "one").await;
    let template = owner.template(&organization, "echo", Archive::terraform("hello"), "terraform").await;
    drop(daemon);
    owner.daemon(&organization, "one", "offline").await;
    let pending = owner.import(&organization, Archive::terraform("bye"), "terraform", json!({})).await;
    let default = owner.default_organization().await;
    let (stranger, _) = owner.user("stranger", &[&default]).await;
    let before = deployment.database().rows().await;
    let nobody = json!("00000000-0000-4000-8000-000000000000");
    let both = json!({"template_id": template["id"], "template_version_id": template["active_version_id"]});
    for (change, statuses, field) in [
        (json!({"name": "has space"}), &[400][..], "name"),
        (json!({"name": "new"}), &[400], "name"),
        (json!({"name": ""}), &[400], "name"),
        (both, &[400], "template_id"),
        (json!({"template_id": ""}), &[400], "template_id"),
        (json!({"template_id": "x"}), &[400], "template_id"),
        (json!({"template_id": nobody}), &[400, 404], ""),
        (json!({"template_id": "", "template_version_id": pending["id"]}), &[400, 406], ""),
        (json!({"ttl_ms": 60_000}), &[400], "ttl_ms"),
        (json!({"automatic_updates": "always"}), &[400], "automatic_updates"),
        (json!({"autostart_schedule": "CRON_TZ=UTC 0 9 * * 1-5"}), &[400], "autostart_schedule"),
    ] {
        let mut body = json!({"name": "w", "template_id": template["id"]});
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let answer = owner.post("/api/v2/users/me/workspaces", body).await;
        assert!(statuses.contains(&answer.status), "{change}: {} {}", answer.status, answer.text());
        answer.refused(answer.status);
        assert!(field.is_empty() || answer.names(field), "{change}: {}", answer.text());
    }
    let body = json!({"name": "w", "template_id": template["id"]});
    stranger.post("/api/v2/users/me/workspaces", body.clone()).await.refused(404);
    owner.post("/api/v2/users/nobody/workspaces", body).await.refused(404);
    assert_eq!(deployment.database().rows().await, before);
}

on_each_database!(workspaces_are_listed_by_a_search);

async fn workspaces_are_listed_by_a_search(database: Databases) {
    let deployment = Deployment::on(database).start().await;
    let (owner, organization, key) = deployment.furnished().await;
    let daemon = Session::obedient(&deployment, &key, "one").await;
    let template = owner.template(&organization, "echo", Archive::terraform("hello"), "terraform").await;
    let newer = owner.import(&organization, Archive::terraform("newer"), "terraform", json!({})).await;
    let newer = owner.imported(&text(&newer, "id"), LONG).await;
    let (ada, ada_id) = owner.user("ada", &[&organization]).await;
    let (bob, _) = owner.user("bob", &[&organization]).await;
    let (stranger, _) = owner.user("stranger", &[&owner.organization("elsewhere").await]).await;
    for name in ["Beta", "alpha", "gone"] {
        let workspace = ada.workspace(name, &template).await;
        ada.built(&text(&workspace["latest_build"], "id"), LONG).await;
        if name != "Beta" {
            let transition = if name == "gone" { "delete" } else { "stop" };
            ada.built(&text(&ada.build(&workspace, transition).await, "id"), LONG).await;
        }
    }
    drop(daemon);
    owner.daemon(&organization, "one", "offline").await;
    bob.workspace("waits_not-100%".replace(['_', '%'], "").as_str(), &template).await;

    let found = async |who: &orgplane_tests::Rest, q: &str| {
        let query = url_encoded(q);
        let answer = who.get(&format!("/api/v2/workspaces?q={query}")).await.expect(200);
        let list = answer["workspaces"].as_array().unwrap().clone();
        assert_eq!(answer["count"].as_u64(), Some(list.len() as u64), "{answer}");
        list.iter().map(|w| text(w, "name")).collect::<Vec<_>>()
    };
    // Running ones first, then by owner and name; what was deleted isn't listed.
    assert_eq!(found(&owner, "").await, ["Beta", "alpha", "waitsnot-100"]);
    assert_eq!(found(&ada, "").await, ["Beta", "alpha"]);
    assert_eq!(found(&bob, "").await, ["waitsnot-100"]);
    assert_eq!(found(&stranger, "").await, [""; 0]);
    for (q, names) in [
        ("owner:me", &["Beta", "alpha"][..]),
        ("owner:ADA", &["Beta", "alpha"]),
        ("owner:bob", &[]),
        ("ada/alph", &["alpha"]),
        ("me/", &["Beta", "alpha"]),
        ("ETA", &["Beta"]),
        ("name:beta", &["Beta"]),
        ("status:running", &["Beta"]),
        ("status:stopped,running", &["Beta", "alpha"]),
        ("status:stopped status:failed", &["alpha"]),
        ("status:deleted", &[]),
        ("template:Echo", &["Beta", "alpha"]),
        ("template:other", &[]),
        ("organization:data-platform", &["Beta", "alpha"]),
        ("outdated:true", &[]),
        ("outdated:false", &["Beta", "alpha"]),
        ("dormant:true", &[]),
        ("dormant:false", &["Beta", "alpha"]),
        ("% _", &[]),
        ("owner:nobody", &[]),
    ] {
        assert_eq!(found(&ada, q).await, names, "{q}");
    }
    assert_eq!(found(&owner, &format!("id:{}", nil(9))).await, [""; 0]);
    let page = owner.get("/api/v2/workspaces?limit=1&offset=1").await.expect(200);
    assert_eq!((&page["workspaces"][0]["name"], &page["count"]), (&json!("alpha"), &json!(3)));
    assert_eq!(page["workspaces"][0]["owner_id"], json!(ada_id));

    for (q, field) in [
        ("color:red", "color"),
        ("status:happy", "status"),
        ("outdated:maybe", "outdated"),
        ("organization:nowhere", "organization"),
        ("id:x", "id"),
        ("a:b:c", "q"),
        ("owner:", "q"),
    ] {
        let answer = ada.get(&format!("/api/v2/workspaces?q={}", url_encoded(q))).await;
        answer.refused(400);
        assert!(answer.names(field) || field == "id", "{q}: {}", answer.text());
    }
    stranger.get("/api/v2/workspaces?q=organization:data-platform").await.refused(400);
    owner.get("/api/v2/workspaces?limit=-1").await.refused_for(400, "limit");

    // The other version becomes the active one: what runs is outdated.
    let other = text(&owner.import(&organization, Archive::terraform("x"), "terraform", json!({})).await, "id");
    let path = format!("/api/v2/templates/{}/versions", text(&template, "id"));
    owner.patch(&path, json!({"id": newer["id"]})).await.refused_for(400, "id");
    owner.patch(&path, json!({"id": "x"})).await.refused_for(400, "id");
    owner.patch(&path, json!({"id": nil(7)})).await.refused(404);
    owner.patch(&path, json!({"id": other})).await.refused(400);
    ada.patch(&path, json!({"id": template["active_version_id"]})).await.refused(403);
    owner.delete(&format!("/api/v2/templates/{}", text(&template, "id"))).await.refused(400);
}

fn nil(last: u8) -> String {
    format!("00000000-0000-4000-8000-00000000000{last}")
}

fn url_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

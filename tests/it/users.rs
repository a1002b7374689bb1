//! `/api/v2/users`: the first user, signing in, every place that a token may stand in, members.

mod administration;
mod commands;
mod lists;
mod races;

use orgplane_tests::deployment::{OWNER, PASSWORD};
use orgplane_tests::world::text;
use orgplane_tests::{Databases, Deployment, Rest};
use reqwest::Method;
use serde_json::json;

const TOKEN: &str = "coder_session_token";

#[tokio::test]
async fn the_first_user_is_created_once() {
    let deployment = Deployment::start().await;
    let rest = deployment.rest();
    let none = rest.get("/api/v2/users/first").await;
    none.refused(404);
    assert!(none.headers.contains_key("x-coder-build-version"), "{:?}", none.headers);

    let attempts = (0..8).map(|n| {
        let body = json!({"email": format!("u{n}@example.com"), "username": format!("u{n}"), "password": PASSWORD});
        let rest = rest.clone();
        tokio::spawn(async move { rest.post("/api/v2/users/first", body).await })
    });
    let mut created = Vec::new();
    for attempt in attempts.collect::<Vec<_>>() {
        let answer = attempt.await.unwrap();
        match answer.status {
            201 => created.push(answer.body),
            _ => drop(answer.refused(409)),
        }
    }
    assert_eq!(created.len(), 1, "{created:?}");
    assert_eq!(text(&created[0], "organization_id").len(), 36);
    let _ = rest.get("/api/v2/users/first").await.expect(200);
    assert_eq!(deployment.database().rows().await["user_account"], 1);
}

#[tokio::test]
async fn signing_in_and_out() {
    let deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let me = owner.get("/api/v2/users/me").await.expect(200);
    assert_eq!((text(&me, "username"), text(&me, "email")), (OWNER.1.to_owned(), OWNER.0.to_owned()));
    assert_eq!(me["roles"][0]["name"], "owner", "{me}");
    assert_eq!((me["status"].as_str(), me["login_type"].as_str()), (Some("active"), Some("password")));

    let rest = deployment.rest();
    let wrong = rest.post("/api/v2/users/login", json!({"email": OWNER.0, "password": "wrong"})).await.refused(401);
    let unknown = rest.post("/api/v2/users/login", json!({"email": "x@example.com", "password": PASSWORD})).await;
    assert_eq!(unknown.refused(401), wrong, "the two must not be told apart");

    let answer = rest.post("/api/v2/users/login", json!({"email": "OWNER@Example.com", "password": PASSWORD})).await;
    let _ = answer.expect(201);
    let cookie = answer.headers["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.starts_with(&format!("{TOKEN}=")) && cookie.contains("HttpOnly"), "{cookie}");
    let other = rest.with(&text(&answer.body, "session_token"));
    let _ = other.post("/api/v2/users/logout", json!({})).await.expect(200);
    let out = other.get("/api/v2/users/me").await;
    out.refused(401);
    assert!(out.headers["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
    let _ = owner.get("/api/v2/users/me").await.expect(200);
}

#[tokio::test]
async fn every_place_of_a_token() {
    let deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let (rest, token) = (deployment.rest(), owner.token());
    let me = "/api/v2/users/me";
    let requests = [
        rest.request(Method::GET, me).header("Cookie", format!("a=b; {TOKEN}={token}")),
        rest.request(Method::GET, &format!("{me}?{TOKEN}={token}")),
        rest.request(Method::GET, me).header("Coder-Session-Token", token),
        rest.request(Method::GET, me).header("Authorization", format!("Bearer {token}")),
        rest.request(Method::GET, &format!("{me}?access_token={token}")),
    ];
    for request in requests {
        let _ = rest.send(request).await.expect(200);
    }
    // The first place that has a token decides, even when it isn't good.
    let both =
        rest.request(Method::GET, me).header("Cookie", format!("{TOKEN}=bad")).header("Coder-Session-Token", token);
    rest.send(both).await.refused(401);

    let malformed = ["x", "a-b", "aaaaaaaaaa-bbbbbbbbbbbbbbbbbbbbbb", &token[..token.len() - 1], "\u{e9}"];
    for bad in malformed {
        rest.with(bad).get(me).await.refused(401);
    }
    rest.get(me).await.refused(401);
}

#[tokio::test]
async fn a_cookie_alone_changes_nothing_from_another_site() {
    let deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let rest = deployment.rest();
    let create = |name: &str| {
        let cookie = format!("{TOKEN}={}", owner.token());
        let request = rest.request(Method::POST, "/api/v2/organizations").header("Cookie", cookie);
        request.json(&json!({"name": name}))
    };
    rest.send(create("a")).await.refused(403);
    rest.send(create("a").header("Origin", "https://evil.example")).await.refused(403);
    rest.send(create("a").header("Sec-Fetch-Site", "cross-site")).await.refused(403);
    assert_eq!(deployment.database().rows().await["organization"], 1);
    let _ = rest.send(create("a").header("Origin", deployment.rest_url())).await.expect(201);
    let _ = rest.send(create("b").header("X-CSRF-TOKEN", "any")).await.expect(201);
}

#[tokio::test]
async fn the_first_call_wakes_a_dormant_user() {
    // The contract's users have no such status.
    let deployment = Deployment::on(Databases::Sqlite).unrecorded().start().await;
    let owner = deployment.rest().first_user().await;
    let default = owner.default_organization().await;
    let body = json!({
        "email": "ada@example.com", "username": "ada", "password": PASSWORD, "organization_ids": [default],
    });
    assert_eq!(owner.post("/api/v2/users", body).await.expect(201)["status"], "dormant");
    let client = deployment.rest().login("ada@example.com").await;
    let _ = client.get("/api/v2/users/me").await.expect(200);
    assert_eq!(client.get("/api/v2/users/me").await.expect(200)["status"], "active");
}

#[tokio::test]
async fn users_and_their_organizations() {
    let deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let default = owner.default_organization().await;
    let other = owner.organization("data-platform").await;
    let body = json!({
        "email": "Ada@Example.com", "username": "ada", "password": PASSWORD, "organization_ids": [default],
        "user_status": "active", "name": "Ada",
    });
    let ada = owner.post("/api/v2/users", body.clone()).await.expect(201);
    assert_eq!((&ada["status"], &ada["name"]), (&json!("active"), &json!("Ada")));
    assert_eq!(ada["roles"], json!([]));
    assert_eq!(ada["organization_ids"], json!([default]));
    owner.post("/api/v2/users", body).await.refused(409);
    let same_name = json!({
        "email": "b@example.com", "username": "ADA", "password": PASSWORD, "organization_ids": [default],
    });
    owner.post("/api/v2/users", same_name).await.refused_for(409, "username");
    let same_email = json!({
        "email": "ada@example.com", "username": "b", "password": PASSWORD, "organization_ids": [default],
    });
    owner.post("/api/v2/users", same_email).await.refused_for(409, "email");

    let client = deployment.rest().login("ada@example.com").await;
    assert_eq!(owner.get("/api/v2/users/ADA").await.expect(200)["id"], ada["id"]);
    assert_eq!(names(&client, "me").await, ["orgplane"]);

    // Membership.
    let path = format!("/api/v2/organizations/{other}/members/ada");
    let member = owner.post(&path, json!({})).await.expect(200);
    assert_eq!((&member["user_id"], &member["organization_id"]), (&ada["id"], &json!(other)));
    assert_eq!(member["roles"], json!([]));
    owner.post(&path, json!({})).await.refused(400);
    assert_eq!(names(&client, "me").await, ["data-platform", "orgplane"]);
    let named = client.get("/api/v2/users/me/organizations/Data-Platform").await.expect(200);
    assert_eq!(named["id"], json!(other));
    owner.post(&format!("/api/v2/organizations/{other}/members/nobody"), json!({})).await.refused(404);
    client.get("/api/v2/users/owner").await.refused(404);
}

async fn names(client: &Rest, user: &str) -> Vec<String> {
    let list = client.get(&format!("/api/v2/users/{user}/organizations")).await.expect(200);
    list.as_array().unwrap().iter().map(|o| text(o, "name")).collect()
}

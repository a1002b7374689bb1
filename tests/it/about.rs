//! What a deployment says of itself: version, id, features, ways to sign in; and the headers that every answer has.

use std::collections::BTreeSet;

use orgplane_proto::BUILD_VERSION;
use orgplane_tests::binary::root;
use orgplane_tests::{Databases, Deployment};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn anybody_learns_which_program_and_which_deployment_it_is() {
    let (one, other) = tokio::join!(Deployment::start(), Deployment::start());
    let info = one.rest().get("/api/v2/buildinfo").await.expect(200);
    assert_eq!(info["version"], BUILD_VERSION);
    assert_eq!((&info["telemetry"], &info["workspace_proxy"]), (&json!(false), &json!(false)));
    assert_eq!(info["deployment_id"].as_str().unwrap().len(), 36);
    let elsewhere = other.rest().get("/api/v2/buildinfo").await.expect(200);
    assert_ne!(info["deployment_id"], elsewhere["deployment_id"]);

    let named = Deployment::on(Databases::Sqlite).flag("--access-url", "https://orgplane.example.com").start().await;
    let info = named.rest().get("/api/v2/buildinfo").await.expect(200);
    assert_eq!(info["dashboard_url"], "https://orgplane.example.com");
}

#[tokio::test]
async fn anybody_learns_how_to_sign_in() {
    let deployment = Deployment::start().await;
    let methods = deployment.rest().get("/api/v2/users/authmethods").await.expect(200);
    let wanted = json!({
        "password": {"enabled": true},
        "github": {"enabled": false, "default_provider_configured": false},
        "oidc": {"enabled": false, "signInText": "", "iconUrl": ""},
    });
    assert_eq!(methods, wanted);
}

#[tokio::test]
async fn there_are_no_experiments() {
    // The published document has a list where the published clients read an object.
    let deployment = Deployment::on(Databases::Sqlite).unrecorded().start().await;
    let owner = deployment.rest().first_user().await;
    assert_eq!(owner.get("/api/v2/experiments/available").await.expect(200), json!({"safe": []}));
    let deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    assert_eq!(owner.get("/api/v2/experiments").await.expect(200), json!([]));
    for path in ["/api/v2/experiments", "/api/v2/experiments/available"] {
        deployment.rest().get(path).await.refused(401);
    }
}

/// Of `server/src/domain/entitlement.rs`: every feature, and what it says proves it.
fn claims() -> Vec<(String, Option<String>)> {
    let table = std::fs::read_to_string(root().join("server/src/domain/entitlement.rs")).expect("the table");
    let rows = table.lines().filter_map(|line| line.trim().strip_prefix("(\"")?.split_once("\", "));
    let proof = |text: &str| text.strip_prefix("Some(\"").and_then(|text| text.split('"').next()).map(str::to_owned);
    rows.map(|(name, rest)| (name.to_owned(), proof(rest))).collect()
}

#[tokio::test]
async fn a_feature_is_enabled_where_a_test_proves_it_and_nowhere_else() {
    let claims = claims();
    for (feature, proof) in &claims {
        let Some(proof) = proof else { continue };
        let (file, test) = proof.split_once("::").unwrap_or_else(|| panic!("{feature}: {proof:?} is no test"));
        assert!(file.starts_with("tests/it/"), "{feature}: {proof}");
        let text = std::fs::read_to_string(root().join(file)).unwrap_or_else(|e| panic!("{feature}: {file}: {e}"));
        assert!(text.contains(&format!("async fn {test}(")), "{feature}: there is no test {proof}");
    }
    let deployment = Deployment::start().await;
    let told = deployment.rest().get("/api/v2/entitlements").await.expect(200);
    assert_eq!((&told["warnings"], &told["errors"]), (&json!([]), &json!([])));
    let features = told["features"].as_object().unwrap();
    let proved: BTreeSet<_> = claims.iter().filter(|(_, proof)| proof.is_some()).map(|(name, _)| name).collect();
    assert!(proved.iter().any(|name| *name == "multiple_organizations"), "{proved:?}");
    for (name, feature) in features {
        let wanted = if proved.contains(name) { ("entitled", true) } else { ("not_entitled", false) };
        assert_eq!(feature, &json!({"entitlement": wanted.0, "enabled": wanted.1}), "{name}");
    }
    assert_eq!(features.keys().collect::<Vec<_>>(), claims.iter().map(|(name, _)| name).collect::<Vec<_>>());
}

/// Clients tell by the first of them whether they speak to the right kind of server at all.
#[tokio::test]
async fn every_answer_has_its_headers() {
    let deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let anybody = deployment.rest();
    let mut ids = BTreeSet::new();
    for (rest, method, path, body, status) in [
        (&anybody, Method::GET, "/api/v2/", Value::Null, 200),
        (&anybody, Method::GET, "/api/v2//buildinfo/", Value::Null, 200),
        (&anybody, Method::GET, "/api/v2/users/me", Value::Null, 401),
        (&anybody, Method::GET, "/api/v2/nothing/here", Value::Null, 404),
        (&anybody, Method::GET, "/nothing", Value::Null, 404),
        (&anybody, Method::PUT, "/api/v2/buildinfo", Value::Null, 405),
        (&anybody, Method::POST, "/api/v2/users/login", json!({"email": "x@example.com", "password": "x"}), 401),
        (&anybody, Method::POST, "/api/v2/users/first", json!([]), 400),
        (&owner, Method::GET, "/api/v2/organizations/nowhere", Value::Null, 404),
        (&owner, Method::GET, "/api/v2//organizations//default//", Value::Null, 200),
        (&owner, Method::POST, "/api/v2/organizations", json!({"name": "orgplane"}), 409),
    ] {
        let answer = rest.send(rest.request(method, path).json(&body)).await;
        assert_eq!(answer.status, status, "{}: {}", answer.request, answer.text());
        let header = |name: &str| answer.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
        assert_eq!(header("x-coder-build-version"), BUILD_VERSION, "{}", answer.request);
        assert_eq!(header("x-content-type-options"), "nosniff", "{}", answer.request);
        assert_eq!(header("content-type"), "application/json; charset=utf-8", "{}", answer.request);
        assert!(ids.insert(header("x-coder-request-id").to_owned()), "{}: the id came before", answer.request);
    }
    assert!(ids.iter().all(|id| uuid::Uuid::try_parse(id).is_ok()), "{ids:?}");
}

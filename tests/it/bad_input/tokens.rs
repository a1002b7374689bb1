//! Tokens and keys that aren't, in every place where one may stand.

use orgplane_tests::scripted::register;
use orgplane_tests::{Databases, Deployment, Session};
use reqwest::Method;
use serde_json::json;
use tonic::Code;

use super::{Watch, check};

const WHO: &str = "/api/v2/users/me";

/// The same with one character changed.
fn with(text: &str, at: usize, other: char) -> String {
    text.chars().enumerate().map(|(n, c)| if n == at { if c == other { 'z' } else { other } } else { c }).collect()
}

#[tokio::test]
async fn a_token_is_the_whole_token_or_none() {
    let mut deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let token = owner.token().to_owned();
    let gone = deployment.rest().login("owner@example.com").await;
    let _ = gone.post("/api/v2/users/logout", json!({})).await.expect(200);
    let watch = Watch::begin(&mut deployment).await;
    let (id, secret) = token.split_once('-').unwrap();
    let last = token.len() - 1;
    let bad = [
        ("another secret", with(&token, last, 'a')),
        ("another id", with(&token, 0, 'a')),
        ("cut", token[..last].to_owned()),
        ("longer", format!("{token}a")),
        ("doubled", format!("{token}{token}")),
        ("only the id", id.to_owned()),
        ("only the secret", format!("-{secret}")),
        ("another separator", token.replace('-', "_")),
        ("other case", token.to_uppercase()),
        ("a wildcard", format!("{id}-%")),
        ("signed out", gone.token().to_owned()),
        ("a provisioner key", format!("orgp_{}", "a".repeat(49))),
        ("8 KiB", "a".repeat(8192)),
        ("no text", "\u{e9}".to_owned()),
    ];
    let anonymous = deployment.rest();
    let get = || anonymous.request(Method::GET, WHO);
    for (what, bad) in &bad {
        let bytes = http::HeaderValue::from_bytes(bad.as_bytes()).unwrap();
        let bearer = http::HeaderValue::from_bytes(format!("Bearer {bad}").as_bytes()).unwrap();
        check(&anonymous.send(get().header("Coder-Session-Token", bytes)).await, what, &[401]);
        check(&anonymous.send(get().header("Authorization", bearer)).await, what, &[401]);
        if bad.is_ascii() {
            check(&anonymous.send(get().header("Cookie", format!("coder_session_token={bad}"))).await, what, &[401]);
            let query = anonymous.send(get().query(&[("coder_session_token", bad)])).await;
            check(&query, what, &[401]);
            assert!(!query.text().contains(bad.as_str()), "{what}: the token is in the answer");
        }
    }
    let bearer = format!("Bearer {token}");
    for (what, values) in [
        ("two tokens", vec![bearer.clone(), bearer.clone()]),
        ("Bearer twice", vec![format!("Bearer {bearer}")]),
        ("another scheme", vec![format!("Basic {token}")]),
        ("no scheme", vec![token.clone()]),
        ("nothing behind the scheme", vec!["Bearer".to_owned()]),
    ] {
        let request = values.iter().fold(get(), |request, value| request.header("Authorization", value));
        check(&anonymous.send(request).await, what, &[401]);
    }
    let huge = anonymous.request(Method::GET, WHO).header("Coder-Session-Token", "a".repeat(1 << 20));
    if let Ok(response) = huge.send().await {
        assert_eq!(response.status(), 431);
    }
    // The token itself still counts, and surrounding white space is no part of a header.
    let _ = anonymous.send(get().header("Authorization", format!("bearer {token}"))).await.expect(200);
    assert!(!deployment.process().output().contains(&token), "the token is in the log");
    watch.end(&mut deployment).await;
}

#[tokio::test]
async fn a_session_ends_on_time() {
    let mut deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let _ = owner.get(WHO).await.expect(200);
    deployment.database().execute("UPDATE api_key SET expires_at = created_at - 1000000").await;
    let watch = Watch::begin(&mut deployment).await;
    check(&owner.get(WHO).await, "expired", &[401]);
    watch.end(&mut deployment).await;
}

#[tokio::test]
async fn a_key_is_the_whole_key_or_none() {
    let mut deployment = Deployment::on(Databases::Sqlite).start().await;
    let owner = deployment.rest().first_user().await;
    let key = owner.key("default", "key", json!({})).await;
    let watch = Watch::begin(&mut deployment).await;
    let last = key.len() - 1;
    for (what, bad) in [
        ("another prefix", key.replacen("orgp_", "orgq_", 1)),
        ("no prefix", key.replacen("orgp_", "", 1)),
        ("prefix in capitals", key.replacen("orgp_", "ORGP_", 1)),
        ("another character", with(&key, 12, 'a')),
        ("another checksum", with(&key, last, 'a')),
        ("cut", key[..last].to_owned()),
        ("longer", format!("{key}a")),
        ("doubled", format!("{key}{key}")),
        ("a space within", format!("{} {}", &key[..20], &key[20..])),
        ("Bearer twice", format!("Bearer {key}")),
        ("a session token", owner.token().to_owned()),
        ("8 KiB", "a".repeat(8192)),
    ] {
        let Err(status) = Session::register(&deployment, &bad, register("one")).await else { panic!("{what}: taken") };
        assert_eq!(status.code(), Code::Unauthenticated, "{what}: {status:?}");
        assert!(!status.message().contains(&bad), "{what}: the key is in the message");
    }
    watch.end(&mut deployment).await;
    let said = deployment.process().output();
    assert!(!said.contains(&key[5..40]), "the key is in the log");
    Session::register(&deployment, &key, register("one")).await.unwrap();
}

//! Errors that have much to say reach clients of either kind of gateway, cut to what the head of an answer takes.

use orgplane_tests::gateway::Gateway;
use orgplane_tests::{Archive, Deployment, Rest};
use serde_json::{Value, json};
use tar::EntryType;

use super::Watch;

/// What the two gateways make of a call has to be the same.
async fn both(near: &Rest, far: &Rest, ask: impl AsyncFn(&Rest) -> orgplane_tests::Answer) -> Value {
    let (near, far) = (ask(near).await, ask(far).await);
    assert_eq!((near.status, &near.body), (400, &far.body), "{} {}", far.status, far.text());
    assert_eq!(far.status, 400, "{}", far.text());
    near.body
}

#[tokio::test]
async fn an_error_that_has_much_to_say_is_cut_and_comes() {
    let mut deployment = Deployment::start().await;
    let near = deployment.rest().first_user().await;
    let gateway = Gateway::start(deployment.url(), &[]).await;
    let far = Rest::new(gateway.url()).with(near.token());
    let watch = Watch::begin(&mut deployment).await;

    let many = format!("/api/v2/workspaces?q={}", "a:%20".repeat(300));
    let answer = both(&near, &far, async |rest| rest.get(&many).await).await;
    let violations = answer["validations"].as_array().unwrap();
    assert_eq!(violations.len(), 21);
    assert_eq!(violations[20], json!({"field": "request", "detail": "breaks 280 more rules"}));

    let long_name = "x".repeat(20_000);
    let tar = Archive::default()
        .entry(EntryType::GNULongName, "././@LongLink", "", long_name.as_bytes())
        .entry(EntryType::Symlink, "short", "main.tf", b"")
        .finish();
    let answer = both(&near, &far, async |rest| rest.upload(tar.clone()).await).await;
    let detail = answer["validations"][0]["detail"].as_str().unwrap();
    assert!(detail.starts_with("The archive has the link \"xxx"), "{detail}");
    assert!(detail.ends_with("xxx\"; only files and folders are taken."), "{detail}");
    assert!(detail.len() < 400, "{detail}");

    let organization = near.default_organization().await;
    let values: Vec<_> = (0..300).map(|n| json!({"name": format!("{n}-{}", "y".repeat(1000)), "value": "v"})).collect();
    let body = json!({"name": "dev", "rich_parameter_values": values});
    let path = format!("/api/v2/organizations/{organization}/members/me/workspaces");
    both(&near, &far, async |rest| rest.post(&path, body.clone()).await).await;
    watch.end(&mut deployment).await;
}

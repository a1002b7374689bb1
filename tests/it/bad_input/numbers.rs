//! Numbers in queries, paths and bodies.

use orgplane_tests::world::text;
use orgplane_tests::{Archive, Deployment, Session};
use serde_json::json;

use super::{Watch, check};

/// Texts that are no whole number of the sort that JSON and people write.
const NO_NUMBERS: &[&str] = &[
    "NaN",
    "inf",
    "1e309",
    "1e3",
    "1.0",
    "0x10",
    "%2B",
    "1%20",
    "%201",
    "1,2",
    "\u{661}",
    "99999999999999999999",
    "--1",
];

#[tokio::test]
async fn numbers_in_queries_are_whole_and_within_their_bounds() {
    let mut deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let key = owner.key("default", "key", json!({})).await;
    let daemon = Session::obedient(&deployment, &key, "one").await;
    let organization = owner.default_organization().await;
    let template = owner.template(&organization, "one", Archive::terraform("hello"), "terraform").await;
    let workspace = owner.workspace("dev", &template).await;
    let build = text(&workspace["latest_build"], "id");
    owner.built(&build, orgplane_tests::LONG).await;
    drop(daemon);
    let (template, workspace) = (text(&template, "id"), text(&workspace, "id"));
    let version = text(&owner.get(&format!("/api/v2/templates/{template}")).await.expect(200), "active_version_id");
    let watch = Watch::begin(&mut deployment).await;
    for (path, parameter, negative) in [
        (format!("/api/v2/templates/{template}/versions"), "limit", true),
        (format!("/api/v2/templates/{template}/versions"), "offset", true),
        (format!("/api/v2/workspaces/{workspace}/builds"), "limit", true),
        (format!("/api/v2/workspaces/{workspace}/builds"), "offset", true),
        ("/api/v2/organizations/default/provisionerjobs".to_owned(), "limit", true),
        ("/api/v2/organizations/default/provisionerdaemons".to_owned(), "limit", true),
        (format!("/api/v2/templateversions/{version}/logs"), "after", false),
        (format!("/api/v2/workspacebuilds/{build}/logs"), "after", false),
    ] {
        let ask = async |value: &str| owner.get(&format!("{path}?{parameter}={value}")).await;
        for bad in NO_NUMBERS.iter().chain(if negative { &["-1", "-9223372036854775808"][..] } else { &[] }) {
            let answer = ask(bad).await;
            check(&answer, bad, &[400]);
            assert!(answer.names(parameter), "{bad}: {}", answer.text());
        }
        for good in ["0", "1", "1000"] {
            let _ = ask(good).await.expect(200);
        }
        // The largest are either taken, and give what there is, or refused.
        for large in ["1000000000", "2147483647", "2147483648", "9223372036854775807"] {
            let answer = ask(large).await;
            assert!([200, 400].contains(&answer.status), "{large}: {}", answer.text());
        }
    }
    for path in [format!("/api/v2/templates/{template}/versions"), format!("/api/v2/workspaces/{workspace}/builds")] {
        for bad in ["x", "1", "11111111-2222-4333-8444-555555555555", &workspace, "%00", "11111111-2222"] {
            check(&owner.get(&format!("{path}?after_id={bad}")).await, bad, &[400]);
        }
    }
    for number in ["0", "-1", "x", "2147483648", "1.0", "01x", "NaN"] {
        let path = format!("/api/v2/users/me/workspace/dev/builds/{number}");
        check(&owner.get(&path).await, number, &[400, 404]);
    }
    for since in ["x", "2026-13-01T00:00:00Z", "9999999999", "2026-01-01", "10000-01-01T00:00:00Z"] {
        let answer = owner.get(&format!("/api/v2/workspaces/{workspace}/builds?since={since}")).await;
        check(&answer, since, &[400]);
        assert!(answer.names("since"), "{since}: {}", answer.text());
    }
    watch.end(&mut deployment).await;
}

#[tokio::test]
async fn numbers_in_bodies_fit_their_type() {
    let mut deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let watch = Watch::begin(&mut deployment).await;
    for bad in ["-1", "1.5", "1e400", "9223372036854775808", "-9223372036854775809", "01", "NaN", "\"1\"", "[1]", "1"] {
        let body = format!("{{\"name\": \"x\", \"default_ttl_ms\": {bad}, \"template_version_id\": \"x\"}}");
        let request = owner.request(reqwest::Method::POST, "/api/v2/organizations/default/templates");
        check(&owner.send(request.body(body)).await, bad, &[400]);
    }
    watch.end(&mut deployment).await;
}

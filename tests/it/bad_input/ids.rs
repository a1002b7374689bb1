//! Ids and names where a request names an object.

use orgplane_tests::Deployment;
use reqwest::Method;

use super::{Watch, check};

#[tokio::test]
async fn ids_in_paths() {
    let mut deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let unknown = "11111111-2222-4333-8444-555555555555";
    let watch = Watch::begin(&mut deployment).await;
    for (method, path) in [
        (Method::GET, "/api/v2/templateversions/{}"),
        (Method::GET, "/api/v2/templateversions/{}/logs"),
        (Method::GET, "/api/v2/templateversions/{}/variables"),
        (Method::PATCH, "/api/v2/templateversions/{}/cancel"),
        (Method::GET, "/api/v2/templateversions/{}/dry-run/11111111-2222-4333-8444-555555555555"),
        (Method::GET, "/api/v2/templateversions/{}/dry-run/11111111-2222-4333-8444-555555555555/logs"),
        (Method::GET, "/api/v2/files/{}"),
        (Method::GET, "/api/v2/templates/{}"),
        (Method::GET, "/api/v2/templates/{}/versions"),
        (Method::GET, "/api/v2/workspaces/{}"),
        (Method::GET, "/api/v2/workspaces/{}/builds"),
        (Method::GET, "/api/v2/workspacebuilds/{}"),
        (Method::GET, "/api/v2/workspacebuilds/{}/logs"),
        (Method::GET, "/api/v2/workspacebuilds/{}/state"),
        (Method::GET, "/api/v2/workspacebuilds/{}/resources"),
        (Method::PATCH, "/api/v2/workspacebuilds/{}/cancel"),
        (Method::GET, "/api/v2/organizations/default/provisionerjobs/{}"),
    ] {
        let ask = async |id: &str| owner.send(owner.request(method.clone(), &path.replace("{}", id))).await;
        for bad in ["x", "%7B%7D", "1", "%00", "..%2f..%2fetc", "11111111222243338444555555555555", &"9".repeat(4000)] {
            check(&ask(bad).await, bad, &[400]);
        }
        check(&ask(unknown).await, "an unknown id", &[404]);
    }
    for path in ["/api/v2/organizations/{}", "/api/v2/users/{}", "/api/v2/organizations/{}/provisionerkeys"] {
        for bad in ["nothing", unknown, "%F0%9F%98%80", "a%20b", "';--"] {
            let answer = owner.get(&path.replace("{}", bad)).await;
            check(&answer, bad, &[400, 404]);
        }
        check(&owner.get(&path.replace("{}", "a%00b")).await, "NUL", &[400]);
        check(&owner.get(&path.replace("{}", "%ff")).await, "no UTF-8", &[400]);
    }
    watch.end(&mut deployment).await;
}

use std::time::Duration;

use axum::body::Body;
use http::{Request, StatusCode};
use orgplane_client::{Remote, Transport};
use orgplane_proto::organization::v1::organization_service_client::OrganizationServiceClient;
use orgplane_proto::organization::v1::{GetOrganizationRequest, Organization, UpdateOrganizationRequest};

use super::fake::Fake;
use super::{Api, call};
use crate::{Options, Upstream, router};

fn channel(address: std::net::SocketAddr) -> Transport {
    let options = orgplane_client::Options { url: format!("http://{address}"), ..Default::default() };
    Remote::new(&options, "test", |endpoint| endpoint).unwrap().connect_lazy().unwrap()
}

fn over(channel: Transport, fake: Fake, timeout: Duration) -> Api {
    let options = Options { timeout, ..Options::default() };
    Api { fake, router: router(Upstream::remote(channel), options) }
}

#[tokio::test]
async fn over_the_network() {
    let fake = Fake::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(axum::serve(listener, fake.routes()).into_future());
    let api = over(channel(address), fake, Duration::from_secs(30));

    api.fake.reply(Organization { name: "x".repeat(5 * 1024 * 1024), ..Default::default() });
    let request = Request::patch("/api/v2/organizations/acme").header("coder-session-token", "t");
    let answer = api.send(request.body(Body::from(r#"{"icon": "i"}"#)).unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK);
    let seen = api.fake.seen();
    assert_eq!(seen.metadata.get("authorization").unwrap(), "Bearer t");
    assert_eq!((seen.address, seen.request_id), (None, None), "as extensions they are facts of this process");
    assert_eq!(seen.metadata.get("x-request-id").unwrap(), answer.headers["x-coder-request-id"].to_str().unwrap());
    assert_eq!(seen.message::<UpdateOrganizationRequest>().icon.as_deref(), Some("i"));

    let hasty = over(channel(address), api.fake.clone(), Duration::from_millis(50));
    hasty.fake.delay(Duration::from_secs(60));
    assert_eq!(hasty.get("/api/v2/organizations/acme").await.status, StatusCode::GATEWAY_TIMEOUT);
    server.abort();
}

#[tokio::test]
async fn nobody_listens() {
    // Held without listening, so that nobody else can.
    let held = tokio::net::TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = held.local_addr().unwrap();
    let api = over(channel(address), Fake::default(), Duration::from_secs(30));
    for (method, uri) in [("GET", "/api/v2/organizations/acme"), ("GET", "/api/v2/workspacebuilds/b/logs")] {
        let answer = api.send(call(method, uri, "")).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{uri}");
        assert_eq!(answer.headers["retry-after"], "1");
        assert_eq!(answer.message(), "The control plane can't be reached. Try again.");
    }
}

#[tokio::test]
async fn something_else_listens() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let other = axum::Router::new().fallback(|| async { (StatusCode::BAD_GATEWAY, "<html>proxy</html>") });
    let server = tokio::spawn(axum::serve(listener, other).into_future());
    let api = over(channel(address), Fake::default(), Duration::from_secs(30));
    let answer = api.get("/api/v2/organizations/acme").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!answer.message().contains("html"));
    server.abort();
}

/// As the server runs it: one address for REST and gRPC.
#[tokio::test]
async fn merged_with_the_services() {
    let api = Api::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let both = api.router.clone().merge(api.fake.routes().reset_fallback());
    let server = tokio::spawn(axum::serve(listener, both.clone()).into_future());

    let organization = Organization { name: "acme".to_owned(), ..Default::default() };
    api.fake.reply(organization.clone());
    let mut client = OrganizationServiceClient::new(channel(address));
    let reply = client.get_organization(GetOrganizationRequest { organization: "acme".to_owned() }).await.unwrap();
    assert_eq!(reply.into_inner(), organization);

    let api = Api { router: both, ..api };
    api.fake.reply(organization);
    assert_eq!(api.get("/api/v2/organizations/acme").await.json()["name"], "acme");
    server.abort();
}

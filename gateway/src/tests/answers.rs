use std::time::Duration;

use axum::body::Body;
use http::{Request, StatusCode, header};
use orgplane_proto::common::v1::{Empty, Response};
use orgplane_proto::identity::v1::{LoginRequest, LoginResponse, LogoutRequest};
use orgplane_proto::organization::v1::*;
use orgplane_proto::provisioner::v1::*;
use orgplane_proto::template::v1::{ListTemplateVersionsRequest, ListTemplateVersionsResponse};
use orgplane_proto::workspace::v1::{ListWorkspaceBuildsRequest, ListWorkspaceBuildsResponse};
use serde_json::json;
use tonic::Status;

use super::{Api, call};
use crate::Options;

#[tokio::test]
async fn requests_are_filled_from_path_body_and_query() {
    let api = Api::new();
    api.fake.reply(Organization::default());
    let body = r#"{"name": "new", "description": null, "icon": ""}"#;
    let answer = api.send(call("PATCH", "/api/v2/organizations/my%20org", body)).await;
    assert_eq!(answer.status, StatusCode::OK);
    let wanted = UpdateOrganizationRequest {
        organization: "my org".to_owned(),
        name: Some("new".to_owned()),
        icon: Some(String::new()),
        ..Default::default()
    };
    assert_eq!(api.fake.seen().message::<UpdateOrganizationRequest>(), wanted);

    api.fake.reply(ListProvisionerJobsResponse::default());
    let uri =
        "/api/v2/organizations/acme/provisionerjobs?limit=5&status=pending,failed&tags=%7B%22a%22:%22b%22%7D&ids=x";
    let answer = api.get(uri).await;
    assert_eq!((answer.status, answer.json()), (StatusCode::OK, json!([])));
    let wanted = ListProvisionerJobsRequest {
        organization: "acme".to_owned(),
        limit: 5,
        ids: vec!["x".to_owned()],
        status: vec![JobStatus::Pending as i32, JobStatus::Failed as i32],
        tags: [("a".to_owned(), "b".to_owned())].into(),
        initiator: String::new(),
    };
    assert_eq!(api.fake.seen().message::<ListProvisionerJobsRequest>(), wanted);

    for uri in ["", "?limit=", "?limit=0"] {
        api.fake.reply(ListProvisionerJobsResponse::default());
        api.get(&format!("/api/v2/organizations/acme/provisionerjobs{uri}")).await;
        assert_eq!(api.fake.seen().message::<ListProvisionerJobsRequest>().limit, 50, "{uri:?}");
    }
    api.fake.reply(ListTemplateVersionsResponse::default());
    api.get("/api/v2/templates/t/versions?include_archived&offset=3&unknown=1").await;
    let seen = api.fake.seen().message::<ListTemplateVersionsRequest>();
    assert_eq!((seen.include_archived, seen.offset, seen.limit), (true, 3, 0));

    api.fake.reply(ListWorkspaceBuildsResponse::default());
    api.get("/api/v2/workspaces/w/builds?since=0001-01-01T00:00:00Z").await;
    assert_eq!(api.fake.seen().message::<ListWorkspaceBuildsRequest>().since, None);
}

#[tokio::test]
async fn bad_parameters_are_named_and_nothing_is_called() {
    let api = Api::new();
    let answer = api.get("/api/v2/organizations/acme/provisionerjobs?limit=-1&colour=red&status=lost").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let fields: Vec<_> = answer.json()["validations"].as_array().unwrap().iter().map(|v| v["field"].clone()).collect();
    assert_eq!(fields, ["limit", "status", "colour"]);

    let answer = api.get("/api/v2/users/me/workspace/w/builds/first").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.json()["validations"][0]["field"], "build_number");

    for uri in ["/api/v2/organizations/%ff", "/api/v2/organizations/a%00b"] {
        assert_eq!(api.get(uri).await.status, StatusCode::BAD_REQUEST, "{uri}");
    }
    for body in ["", "{", "[]", r#"{"name": 1}"#] {
        let answer = api.send(call("POST", "/api/v2/organizations", body)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
        assert!(!answer.message().is_empty());
    }
    let large = format!("{{\"name\": \"{}\"}}", "a".repeat(1024 * 1024));
    let answer = api.send(call("POST", "/api/v2/organizations", &large)).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(!answer.message().is_empty());
    assert!(api.fake.saw_nothing());
}

#[tokio::test]
async fn statuses_of_success() {
    let api = Api::new();
    api.fake.reply(Organization::default());
    assert_eq!(api.send(call("POST", "/api/v2/organizations", "{}")).await.status, StatusCode::CREATED);
    api.fake.reply(Empty {});
    let answer = api.send(call("DELETE", "/api/v2/organizations/acme/provisionerkeys/east", "")).await;
    assert_eq!((answer.status, answer.bytes.len()), (StatusCode::NO_CONTENT, 0));
    api.fake.reply(Response { message: "gone".to_owned(), ..Default::default() });
    let answer = api.send(call("DELETE", "/api/v2/organizations/acme", "")).await;
    assert_eq!((answer.status, answer.json()), (StatusCode::OK, json!({"message": "gone"})));
}

#[tokio::test]
async fn every_answer_has_its_headers() {
    let api = Api::with(Options { version: "v9.9.9 \u{e4}+x\n".to_owned(), ..Options::default() });
    for (method, uri, wanted) in [
        ("GET", "/api/v2", 200),
        ("GET", "/api/v2/", 200),
        ("HEAD", "//api//v2//", 200),
        ("GET", "/api/v2/nothing/here", 404),
        ("GET", "/api/v2/users/me/nothing", 404),
        ("GET", "/elsewhere", 404),
        ("PUT", "/api/v2/organizations", 405),
        ("GET", "/api/v2/organizations", 501),
        ("GET", "/api/v2//organizations/", 501),
    ] {
        let answer = api.send(call(method, uri, "")).await;
        assert_eq!(answer.status.as_u16(), wanted, "{method} {uri}");
        assert_eq!(answer.headers["x-coder-build-version"], "v9.9.9+x");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers["content-type"], "application/json; charset=utf-8");
        assert_eq!(answer.headers["x-coder-request-id"].len(), 36);
        assert!(method == "HEAD" || answer.bytes.ends_with(b"}\n"), "{:?}", answer.bytes);
        assert!(method == "HEAD" || !answer.message().is_empty());
    }
    assert_eq!(api.get("/api/v2").await.headers["cache-control"], "no-store");
    let answer = api.send(call("PUT", "/api/v2/organizations", "")).await;
    assert_eq!(answer.headers["allow"], "GET,HEAD,POST");
}

#[tokio::test]
async fn calls_carry_token_request_id_address_and_deadline() {
    let api = Api::new();
    api.fake.reply(Organization::default());
    let request = Request::get("/api/v2/organizations/acme").header("coder-session-token", "abc");
    let answer = api.send(request.header("x-request-id", "forged").body(Body::empty()).unwrap()).await;
    let seen = api.fake.seen();
    assert_eq!(seen.metadata.get("authorization").unwrap(), "Bearer abc");
    assert_eq!(seen.request_id.unwrap().0.to_string(), answer.headers["x-coder-request-id"].to_str().unwrap());
    assert!(seen.metadata.contains_key("grpc-timeout"));
    assert_eq!(seen.address.unwrap().0.to_string(), "192.0.2.7");

    api.fake.reply(Organization::default());
    api.get("/api/v2/organizations/acme").await;
    assert!(api.fake.seen().metadata.get("authorization").is_none());
}

#[tokio::test]
async fn authentication_failures_carry_a_challenge() {
    let api = Api::new();
    api.fake.fail(Status::unauthenticated("You are signed out."));
    let answer = api.get("/api/v2/organizations/acme").await;
    assert_eq!((answer.status, answer.message().as_str()), (StatusCode::UNAUTHORIZED, "You are signed out."));
    assert_eq!(answer.headers["www-authenticate"], "Bearer");

    let request = Request::delete("/api/v2/organizations/acme").header("cookie", "coder_session_token=t");
    let answer = api.send(request.header("origin", "http://evil.test").body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(answer.headers["www-authenticate"], "Bearer");
}

#[tokio::test]
async fn the_services_of_this_process_have_a_deadline_too() {
    let api = Api::with(Options { timeout: Duration::from_millis(20), ..Options::default() });
    api.fake.delay(Duration::from_secs(60));
    let answer = api.get("/api/v2/organizations/acme").await;
    assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT);
    assert!(!answer.message().is_empty());
}

#[tokio::test]
async fn login_sets_the_cookie_and_logout_clears_it() {
    for (https, secure) in [(false, ""), (true, "; Secure")] {
        let api = Api::with(Options { https, ..Options::default() });
        api.fake.reply(LoginResponse { session_token: "id-secret".to_owned() });
        let answer = api.send(call("POST", "/api/v2/users/login", r#"{"email": "a@x", "password": "p"}"#)).await;
        assert_eq!((answer.status, answer.json()), (StatusCode::CREATED, json!({"session_token": "id-secret"})));
        let wanted = format!("coder_session_token=id-secret; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax{secure}");
        assert_eq!(answer.headers[header::SET_COOKIE], wanted);
        assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
        let wanted = LoginRequest { email: "a@x".to_owned(), password: "p".to_owned() };
        assert_eq!(api.fake.seen().message::<LoginRequest>(), wanted);

        api.fake.reply(Response { message: "bye".to_owned(), ..Default::default() });
        let request = Request::post("/api/v2/users/logout").header("coder-session-token", "t");
        let answer = api.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!((answer.status, answer.json()), (StatusCode::OK, json!({"message": "bye"})));
        let wanted = format!("coder_session_token=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax{secure}");
        assert_eq!(answer.headers[header::SET_COOKIE], wanted);
        let seen = api.fake.seen();
        assert_eq!(seen.metadata.get("authorization").unwrap(), "Bearer t");
        seen.message::<LogoutRequest>();
    }
    let api = Api::new();
    api.fake.fail(Status::unauthenticated("Wrong password."));
    let answer = api.send(call("POST", "/api/v2/users/login", "{}")).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(!answer.headers.contains_key(header::SET_COOKIE));
}

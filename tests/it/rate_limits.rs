//! How often something may be called: by a user, from an address, and by whom it may be bypassed.

use orgplane_tests::deployment::{OWNER, PASSWORD};
use orgplane_tests::{Answer, Databases, Deployment, Rest};
use reqwest::Method;
use serde_json::json;

const BYPASS: &str = "X-Coder-Bypass-Ratelimit";

/// Seconds that a refused call is to wait.
fn wait(answer: &Answer) -> u64 {
    answer.refused(429);
    answer.headers["retry-after"].to_str().unwrap().parse().unwrap()
}

async fn login(rest: &Rest, email: &str, password: &str, from: &str) -> Answer {
    let body = json!({"email": email, "password": password});
    rest.send(rest.request(Method::POST, "/api/v2/users/login").header("X-Forwarded-For", from).json(&body)).await
}

#[tokio::test]
async fn each_user_has_their_limit_and_owners_may_pass_it() {
    let deployment = Deployment::on(Databases::Sqlite).flag("--rate-limit-per-minute", "20").start().await;
    let owner = deployment.rest().first_user().await;
    let organization = owner.default_organization().await;
    let (member, _) = owner.user("member", &[&organization]).await;
    let refused = async |client: &Rest| {
        for _ in 0..100 {
            let answer = client.get("/api/v2/users/me").await;
            if answer.status != 200 {
                return answer;
            }
        }
        panic!("nothing is refused");
    };
    assert!(wait(&refused(&member).await) <= 3);
    // Another method, another user.
    let _ = member.get("/api/v2/organizations").await.expect(200);
    let _ = owner.get("/api/v2/users/me").await.expect(200);
    assert!(wait(&refused(&owner).await) <= 3);
    let bypassing = |client: &Rest| client.request(Method::GET, "/api/v2/users/me").header(BYPASS, "true");
    for _ in 0..30 {
        let _ = owner.send(bypassing(&owner)).await.expect(200);
    }
    for other in [&member, &deployment.rest()] {
        let answer = other.send(bypassing(other)).await;
        assert!([401, 428].contains(&answer.status), "{answer:?}");
    }
    member.send(bypassing(&member)).await.refused(428);
    // gRPC is counted with it.
    let api = deployment.grpc(Some(member.token())).await;
    let message =
        vec![prost::Message::encode_to_vec(&orgplane_proto::identity::v1::GetUserRequest { user: "me".to_owned() })];
    let mut codes = Vec::new();
    for _ in 0..25 {
        let reply = api.call("/orgplane.identity.v1.UserService/GetUser", message.clone()).await;
        codes.push(reply.map(|_| ()).map_err(|status| status.code()));
    }
    assert!(codes.contains(&Err(tonic::Code::ResourceExhausted)), "{codes:?}");
}

#[tokio::test]
async fn uploads_have_a_limit_of_their_own() {
    let deployment = Deployment::on(Databases::Sqlite).flag("--upload-rate-limit-per-minute", "3").start().await;
    let owner = deployment.rest().first_user().await;
    let mut statuses = Vec::new();
    for number in 0..5 {
        let archive = orgplane_tests::Archive::terraform(&format!("n{number}"));
        statuses.push(owner.upload(archive).await.status);
    }
    assert_eq!(statuses[..3], [201, 201, 201]);
    assert!(statuses[3..].contains(&429), "{statuses:?}");
}

#[tokio::test]
async fn who_tries_passwords_has_to_wait_and_others_have_not() {
    let deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let rest = deployment.rest();
    let from = "198.51.100.7";
    let mut told = Vec::new();
    for email in ["nobody@example.com", OWNER.0] {
        for _ in 0..5 {
            login(&rest, email, "Wrong-Password-7", from).await.refused(401);
        }
        let answer = login(&rest, email, "Wrong-Password-7", from).await;
        assert!((1..=5).contains(&wait(&answer)));
        told.push(answer.text().replace(|c: char| c.is_ascii_digit(), ""));
    }
    // The right one is refused as well, or it would be told by that.
    assert!(wait(&login(&rest, "OWNER@example.com", PASSWORD, from).await) <= 5);
    assert_eq!(told[0], told[1], "accounts that don't exist are told like those that do");
    // From elsewhere the account can be used, and another account from there.
    let _ = login(&rest, OWNER.0, PASSWORD, "198.51.100.8").await.expect(201);
    login(&rest, "other@example.com", "Wrong-Password-7", from).await.refused(401);
    let refused = owner.audit("action:login resource_type:api_key").await;
    assert!(refused.iter().any(|entry| entry["status_code"] == 429), "{refused:?}");
}

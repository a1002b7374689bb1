use std::time::Duration;

use super::*;
use crate::domain::id::UserId;
use crate::domain::time::micros;
use crate::domain::token::Token;
use crate::service::testing::{Deployment, PASSWORD, anonymous, deployments, new_user};
use crate::service::user::NewUser;
use crate::store::Access as _;

async fn login(deployment: &Deployment, email: &str, password: &str) -> Result<String> {
    deployment.login(&anonymous(), email, password.into()).await
}

fn credential<T: std::fmt::Debug>(result: Result<T>) -> Credential {
    match result {
        Err(Error::Unauthenticated(credential)) => credential,
        other => panic!("{other:?}"),
    }
}

async fn execute(deployment: &Deployment, sql: &str) {
    let tx = deployment.store.begin().await.unwrap();
    assert_eq!(tx.execute(sql, []).await.unwrap(), 1, "{sql}");
    tx.commit().await.unwrap();
}

/// A dormant user with a password.
async fn ann(deployment: &Deployment, owner: &Caller) -> UserId {
    let organization = deployment.organization(owner, "data").await;
    let new = NewUser {
        login_type: LoginType::Password,
        password: PASSWORD.into(),
        status: UserStatus::Dormant,
        ..new_user("ann", organization)
    };
    deployment.user_create(owner, new).await.unwrap().user.id
}

#[tokio::test]
async fn a_password_opens_a_session_until_it_is_ended() {
    for (deployment, owner) in deployments().await {
        ann(&deployment, &owner).await;
        let token = login(&deployment, "ANN@example.com", PASSWORD).await.unwrap();
        let actor = deployment.session_authenticate(&token).await.unwrap();
        let caller = Caller { actor, ..anonymous() };
        let profile = deployment.user_get(&caller, "me").await.unwrap();
        assert_eq!(profile.user.username, "ann");
        assert_eq!(profile.user.status, UserStatus::Active, "the first call wakes a dormant user");
        assert!(profile.user.last_seen_at.is_some());

        let other = login(&deployment, "ann@example.com", PASSWORD).await.unwrap();
        deployment.logout(&caller).await.unwrap();
        assert_eq!(credential(deployment.session_authenticate(&token).await), Credential::Unknown);
        deployment.session_authenticate(&other).await.unwrap();
        assert_eq!(credential(deployment.logout(&anonymous()).await), Credential::Missing);
    }
}

#[tokio::test]
async fn who_cannot_sign_in_is_told_nothing() {
    for (deployment, owner) in deployments().await {
        let id = ann(&deployment, &owner).await;
        let organization = deployment.organization_resolve(&owner, "data").await.unwrap().id;
        deployment.member(&owner, "tokens-only", organization).await;
        for (email, password) in [
            ("ann@example.com", "wrong"),
            ("ann", PASSWORD),
            ("nobody@example.com", PASSWORD),
            ("tokens-only@example.com", PASSWORD),
            ("tokens-only@example.com", " "),
            ("a\0@example.com", PASSWORD),
            ("ann@example.com", "\0"),
        ] {
            assert_eq!(credential(login(&deployment, email, password).await), Credential::Password, "{email:?}");
        }
        assert!(matches!(login(&deployment, "", "").await, Err(Error::Invalid(violations)) if violations.len() == 2));

        let token = login(&deployment, "ann@example.com", PASSWORD).await.unwrap();
        execute(&deployment, "UPDATE user_account SET status = 'suspended' WHERE username = 'ann'").await;
        assert_eq!(credential(deployment.session_authenticate(&token).await), Credential::Suspended);
        assert_eq!(credential(login(&deployment, "ann@example.com", PASSWORD).await), Credential::Suspended);
        assert_eq!(credential(login(&deployment, "ann@example.com", "wrong").await), Credential::Password);
        let status = crate::store::user::find(&deployment.store, id).await.unwrap().unwrap().status;
        assert_eq!(status, UserStatus::Suspended);
    }
}

#[tokio::test]
async fn a_token_is_checked_to_the_last_character() {
    for (deployment, _) in deployments().await {
        let token = login(&deployment, "owner@example.com", PASSWORD).await.unwrap();
        for bad in ["", "x", &token[1..], &format!("{token}x"), &format!("Bearer {token}")] {
            assert_eq!(credential(deployment.session_authenticate(bad).await), Credential::Malformed, "{bad}");
        }
        for at in [0, token.len() - 1] {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'x' { b'y' } else { b'x' };
            let bad = String::from_utf8(bytes).unwrap();
            assert_eq!(credential(deployment.session_authenticate(&bad).await), Credential::Unknown);
        }
        let row = deployment.store.query_one("SELECT secret_sha256, id FROM api_key", []).await.unwrap().unwrap();
        let (hash, id): (Vec<u8>, String) = (row.try_get_by_index(0).unwrap(), row.try_get_by_index(1).unwrap());
        assert_eq!(hash, Token::parse(&token).unwrap().hash());
        assert!(token.starts_with(&id));
    }
}

#[tokio::test]
async fn a_session_slides_and_ends() {
    for (deployment, _) in deployments().await {
        let token = login(&deployment, "owner@example.com", PASSWORD).await.unwrap();
        let read = async || {
            let row = deployment.store.query_one("SELECT expires_at, last_used_at FROM api_key", []).await;
            let row = row.unwrap().unwrap();
            (row.try_get_by_index::<i64>(0).unwrap(), row.try_get_by_index::<i64>(1).unwrap())
        };
        deployment.session_authenticate(&token).await.unwrap();
        let start = read().await;
        deployment.session_authenticate(&token).await.unwrap();
        assert_eq!(read().await, start, "nothing is written within the hour");

        let back = micros(Duration::from_secs(2 * 60 * 60));
        let sql = format!("UPDATE api_key SET expires_at = expires_at - {back}, last_used_at = last_used_at - {back}");
        execute(&deployment, &sql).await;
        deployment.session_authenticate(&token).await.unwrap();
        let moved = read().await;
        assert!(moved.0 >= start.0 && moved.1 >= start.1, "{moved:?} {start:?}");

        let now = deployment.store.now().await.unwrap().0;
        execute(&deployment, &format!("UPDATE api_key SET expires_at = {now}")).await;
        assert_eq!(credential(deployment.session_authenticate(&token).await), Credential::Expired);
        login(&deployment, "owner@example.com", PASSWORD).await.unwrap();
        let row = deployment.store.query_one("SELECT count(*) FROM api_key", []).await.unwrap().unwrap();
        assert_eq!(row.try_get_by_index::<i64>(0).unwrap(), 1, "expired ones are forgotten at the next login");
    }
}

//! What happens to accounts at the same time.

use orgplane_tests::deployment::PASSWORD;
use orgplane_tests::world::text;
use orgplane_tests::{Databases, Deployment, Rest};
use serde_json::json;
use tokio::task::JoinSet;

on_each_database!(
    a_name_is_taken_once,
    accounts_are_taken_over_by_nobody_who_holds_less,
    an_owner_always_remains,
    deletion_meets_everything_else,
    sign_ins_at_once_all_succeed
);

async fn sign_ins_at_once_all_succeed(database: Databases) {
    let deployment = Deployment::on(database).start().await;
    let owner = deployment.rest().first_user().await;
    let mut race = JoinSet::new();
    for _ in 0..12 {
        let rest = deployment.rest();
        race.spawn(async move { rest.login("owner@example.com").await });
    }
    assert_eq!(race.join_all().await.len(), 12, "each with a token");
    let _ = owner.get("/api/v2/users/me").await.expect(200);
}

async fn accounts_are_taken_over_by_nobody_who_holds_less(database: Databases) {
    let deployment = Deployment::on(database).start().await;
    let owner = deployment.rest().first_user().await;
    let home = owner.organization("home").await;
    let (ursula, _) = owner.user("ursula", &[&owner.default_organization().await]).await;
    let _ = owner.put("/api/v2/users/ursula/roles", json!({"roles": ["user-admin"]})).await.expect(200);
    let (_, ann) = owner.user("ann", &[&home]).await;
    let password = json!({"password": format!("{PASSWORD}-2")});
    let _ = ursula.put("/api/v2/users/ann/password", password.clone()).await.expect(204);
    owner.give(&home, &ann, "organization-admin").await;
    ursula.put("/api/v2/users/ann/password", json!({"password": format!("{PASSWORD}-3")})).await.refused(403);
    // Nor is she taken out of what she runs.
    ursula.delete(&format!("/api/v2/organizations/{home}/members/ann")).await.refused(403);
    // A token that is for less than everything is for less than that.
    let scopes = json!({"token_name": "narrow", "scopes": ["user:*", "assign_role:*"]});
    let narrow = deployment.rest().with(&owner.token_of("owner", scopes).await);
    narrow.put("/api/v2/users/ursula/password", password).await.refused(403);
    narrow.put("/api/v2/users/ann/roles", json!({"roles": ["owner"]})).await.refused(400);
}

async fn a_name_is_taken_once(database: Databases) {
    let deployment = Deployment::on(database).start().await;
    let owner = deployment.rest().first_user().await;
    let default = owner.default_organization().await;
    let mut race = JoinSet::new();
    for n in 0..8 {
        let (owner, default) = (owner.clone(), default.clone());
        // Half want the same name, half the same address.
        let (username, email) = if n % 2 == 0 { ("ada".to_owned(), n) } else { (format!("ada{n}"), 0) };
        race.spawn(async move {
            let body = json!({"username": username, "email": format!("ada{email}@example.com"),
                "login_type": "none", "user_status": "active", "organization_ids": [default]});
            owner.post("/api/v2/users", body).await
        });
    }
    let (mut by_name, mut by_address) = (0, 0);
    for answer in race.join_all().await {
        if answer.status == 201 {
            by_name += u32::from(answer.body["username"] == "ada");
            by_address += u32::from(answer.body["email"] == "ada0@example.com");
        } else {
            answer.refused(409);
        }
    }
    assert!(by_name == 1 && by_address == 1, "{by_name} have the name, {by_address} the address");
}

/// Another owner of the site.
async fn owner_named(owner: &Rest, name: &str, organization: &str) -> Rest {
    let (client, id) = owner.user(name, &[organization]).await;
    let _ = owner.put(&format!("/api/v2/users/{id}/roles"), json!({"roles": ["owner"]})).await.expect(200);
    client
}

async fn an_owner_always_remains(database: Databases) {
    let deployment = Deployment::on(database).start().await;
    let mut owner = ("owner".to_owned(), deployment.rest().first_user().await);
    let default = owner.1.default_organization().await;
    for round in 0..6 {
        let name = format!("rival{round}");
        let rival = (name.clone(), owner_named(&owner.1, &name, &default).await);
        let oust = |by: &Rest, whom: &str| {
            let (by, path) = (by.clone(), format!("/api/v2/users/{whom}"));
            tokio::spawn(async move {
                if round % 2 == 0 {
                    by.delete(&path).await.status
                } else {
                    by.put(&format!("{path}/roles"), json!({"roles": []})).await.status
                }
            })
        };
        let (first, second) = tokio::join!(oust(&owner.1, &rival.0), oust(&rival.1, &owner.0));
        let (first, second) = (first.unwrap(), second.unwrap());
        assert_eq!(u32::from(first == 200) + u32::from(second == 200), 1, "round {round}: {first} and {second}");
        for lost in [first, second].into_iter().filter(|status| *status != 200) {
            assert!((400..500).contains(&lost), "round {round}: {lost}");
        }
        if second == 200 {
            owner = rival;
        }
        let owners = owner.1.get("/api/v2/users?q=role:owner+status:active").await.expect(200);
        assert_eq!(owners["count"], 1, "round {round}: {owners}");
    }
}

/// While a user is deleted, they are signed in, made a member, given roles, renamed: each of it is done or refused, and
/// nothing of it is left.
async fn deletion_meets_everything_else(database: Databases) {
    let deployment = Deployment::on(database).start().await;
    let owner = deployment.rest().first_user().await;
    let default = owner.default_organization().await;
    let other = owner.organization("other").await;
    for round in 0..4 {
        let name = format!("ada{round}");
        let (ada, id) = owner.user(&name, &[&default]).await;
        let before = deployment.database().rows().await;
        let mut race = JoinSet::new();
        let rest = deployment.rest();
        let login = json!({"email": format!("{name}@example.com"), "password": PASSWORD});
        race.spawn(async move { rest.post("/api/v2/users/login", login).await.status });
        race.spawn(async move { ada.get("/api/v2/users/me").await.status });
        for what in 0..4 {
            let (owner, id, other, name) = (owner.clone(), id.clone(), other.clone(), name.clone());
            race.spawn(async move {
                let user = format!("/api/v2/users/{id}");
                let answer = match what {
                    0 => owner.delete(&user).await,
                    1 => owner.put(&format!("{user}/roles"), json!({"roles": ["auditor"]})).await,
                    2 => owner.post(&format!("/api/v2/organizations/{other}/members/{id}"), json!({})).await,
                    _ => owner.put(&format!("{user}/profile"), json!({"username": name, "name": "Ada"})).await,
                };
                assert!(what != 0 || answer.status == 200, "{answer:?}");
                answer.status
            });
        }
        for status in race.join_all().await {
            assert!([200, 201, 401, 404].contains(&status), "round {round}: {status}");
        }
        let after = deployment.database().rows().await;
        for (table, gone) in [("api_key", 1), ("organization_member", 1), ("role_grant", 0)] {
            assert_eq!(after[table], before[table] - gone, "round {round}: {table}");
        }
        owner.get(&format!("/api/v2/users/{id}")).await.refused(404);
    }
    assert_eq!(text(&owner.get("/api/v2/users/me").await.expect(200), "status"), "active");
}

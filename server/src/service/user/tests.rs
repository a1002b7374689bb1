use tokio::task::JoinSet;

use super::*;
use crate::service::testing::{PASSWORD, anonymous, deployments, empty_deployments, first_user, new_user};
use crate::store::Access as _;

fn fields(error: Error) -> Vec<String> {
    match error {
        Error::Invalid(violations) => violations.into_iter().map(|violation| violation.field).collect(),
        other => panic!("{other:?}"),
    }
}

async fn count(service: &Service, table: &str) -> i64 {
    let row = service.store.query_one(&format!("SELECT count(*) FROM {table}"), []).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_first_users_one_wins() {
    for deployment in empty_deployments().await {
        assert!(matches!(deployment.first_user_get().await, Err(Error::NoFirstUser)));
        let mut race = JoinSet::new();
        for n in 0..32 {
            let service = deployment.service.clone();
            race.spawn(async move { service.first_user_create(&anonymous(), first_user(&format!("user{n}"))).await });
        }
        let results = race.join_all().await;
        let won: Vec<_> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
        assert_eq!(won.len(), 1);
        assert!(results.iter().all(|result| matches!(result, Ok(_) | Err(Error::FirstUserExists))));
        deployment.first_user_get().await.unwrap();

        let caller = deployment.caller(won[0].0).await;
        let profile = deployment.user_get(&caller, "me").await.unwrap();
        assert_eq!(profile.user.status, UserStatus::Active);
        assert!(profile.roles.contains(&SiteRole::Owner));
        assert_eq!(profile.organizations, [won[0].1]);
        assert_eq!(count(&deployment, "user_account").await, 1);
        assert_eq!(count(&deployment, "organization_member").await, 1);
        assert_eq!(count(&deployment, "role_grant").await, 1);
    }
}

#[tokio::test]
async fn a_first_user_must_keep_the_rules() {
    for deployment in empty_deployments().await {
        let bad = NewFirstUser {
            email: "owner".into(),
            username: "me".into(),
            name: " x".into(),
            password: "password".into(),
        };
        let error = deployment.first_user_create(&anonymous(), bad).await.unwrap_err();
        assert_eq!(fields(error), ["email", "username", "name", "password"]);
        assert!(matches!(deployment.first_user_get().await, Err(Error::NoFirstUser)));
    }
}

#[tokio::test]
async fn users_are_created_in_organizations_that_exist() {
    for (deployment, owner) in deployments().await {
        let organization = deployment.organization(&owner, "data").await;
        let nil = OrganizationId(uuid::Uuid::nil());
        let profile = deployment
            .user_create(
                &owner,
                NewUser {
                    login_type: LoginType::Password,
                    password: PASSWORD.into(),
                    status: UserStatus::Dormant,
                    organization_ids: vec![organization.to_string(), nil.to_string(), organization.to_string()],
                    ..new_user("Ann", organization)
                },
            )
            .await
            .unwrap();
        assert_eq!(profile.user.status, UserStatus::Dormant);
        assert_eq!(profile.organizations.len(), 2);
        assert!(profile.roles.is_empty());

        let none = NewUser { organization_ids: vec![], ..new_user("bob", organization) };
        assert_eq!(fields(deployment.user_create(&owner, none).await.unwrap_err()), ["organization_ids"]);
        let text = NewUser { organization_ids: vec!["data".into()], ..new_user("bob", organization) };
        assert_eq!(fields(deployment.user_create(&owner, text).await.unwrap_err()), ["organization_ids"]);
        let unknown = new_user("bob", OrganizationId::new());
        assert!(matches!(deployment.user_create(&owner, unknown).await, Err(Error::NotFound(_))));
        let weak = NewUser { login_type: LoginType::Password, ..new_user("bob", organization) };
        assert_eq!(fields(deployment.user_create(&owner, weak).await.unwrap_err()), ["password"]);
        let needless = NewUser { password: PASSWORD.into(), ..new_user("bob", organization) };
        assert_eq!(fields(deployment.user_create(&owner, needless).await.unwrap_err()), ["password"]);
        assert_eq!(count(&deployment, "user_account").await, 2, "what is refused leaves nothing");
    }
}

#[tokio::test]
async fn a_username_and_an_address_are_taken_in_any_case() {
    for (deployment, owner) in deployments().await {
        let organization = deployment.organization(&owner, "data").await;
        deployment.user_create(&owner, new_user("ann", organization)).await.unwrap();
        let again = NewUser { email: "other@example.com".into(), ..new_user("ANN", organization) };
        let error = deployment.user_create(&owner, again).await.unwrap_err();
        assert!(matches!(error, Error::AlreadyExists { field: "username", .. }), "{error:?}");
        let again = NewUser { email: "ANN@Example.com".into(), ..new_user("bob", organization) };
        let error = deployment.user_create(&owner, again).await.unwrap_err();
        assert!(matches!(error, Error::AlreadyExists { field: "email", .. }), "{error:?}");
    }
}

#[tokio::test]
async fn members_see_themselves_and_create_nobody() {
    for (deployment, owner) in deployments().await {
        let organization = deployment.organization(&owner, "data").await;
        let ann = deployment.member(&owner, "ann", organization).await;
        for text in ["me", "ann", "ANN"] {
            assert_eq!(deployment.user_get(&ann, text).await.unwrap().user.username, "ann");
        }
        let id = ann.user().unwrap().user_id.to_string();
        assert_eq!(deployment.user_get(&owner, &id.to_uppercase()).await.unwrap().user.username, "ann");
        for text in ["owner", "nobody", "", "a\0b", "00000000-0000-0000-0000-000000000000"] {
            assert!(matches!(deployment.user_get(&ann, text).await, Err(Error::NotFound(Kind::User))), "{text:?}");
        }
        let new = new_user("bob", organization);
        assert!(matches!(deployment.user_create(&ann, new).await, Err(Error::Denied)));
        let error = deployment.user_create(&anonymous(), new_user("bob", organization)).await.unwrap_err();
        assert!(matches!(error, Error::Unauthenticated(_)));
    }
}

#[tokio::test]
async fn a_page_of_any_length_takes_as_many_statements() {
    for (deployment, owner) in deployments().await {
        let mut organizations = Vec::new();
        for name in ["one", "two", "three"] {
            organizations.push(deployment.organization(&owner, name).await);
        }
        for n in 0..12 {
            let ids = organizations.iter().take(1 + n % 3).map(ToString::to_string).collect();
            let roles = if n % 2 == 0 { vec!["auditor".to_owned()] } else { Vec::new() };
            let new = NewUser { organization_ids: ids, roles, ..new_user(&format!("user{n}"), organizations[0]) };
            deployment.user_create(&owner, new).await.unwrap();
        }
        let admin = deployment.admin(&owner, "admin", organizations[0]).await;
        for caller in [&owner, &admin] {
            let mut found = Vec::new();
            for limit in [1, 4, 12, 0] {
                let search = UserSearch { q: "user".to_owned(), limit, ..UserSearch::default() };
                let before = deployment.statements();
                let (users, count) = deployment.user_list(caller, search).await.unwrap();
                found.push((users.len(), count, deployment.statements() - before));
            }
            assert_eq!(found, [(1, 12, 4), (4, 12, 4), (12, 12, 4), (12, 12, 4)]);
        }
        let search = UserSearch { q: "user11".to_owned(), ..UserSearch::default() };
        let (users, _) = deployment.user_list(&owner, search.clone()).await.unwrap();
        assert_eq!((users[0].organizations.len(), users[0].roles.len()), (3, 0));
        let (users, _) = deployment.user_list(&admin, search).await.unwrap();
        assert_eq!(users[0].organizations, [organizations[0]]);
    }
}

/// What the log has of a user: action, outcome, differences.
async fn logged(service: &Service, username: &str) -> Vec<(String, String, String)> {
    let sql = "SELECT action, outcome, diff FROM audit_log WHERE resource_target = $1 ORDER BY time, id";
    let rows = service.store.query_all(sql, [username.into()]).await.unwrap();
    let text = |row: &sea_orm::QueryResult, at| row.try_get_by_index::<String>(at).unwrap();
    rows.iter().map(|row| (text(row, 0), text(row, 1), text(row, 2))).collect()
}

#[tokio::test]
async fn what_is_done_to_a_user_is_in_the_log() {
    const NEW: &str = "Another-Horse-8-Staple";
    for (deployment, owner) in deployments().await {
        let organization = deployment.organization(&owner, "data").await;
        let roles = vec!["auditor".to_owned()];
        let (login_type, password) = (LoginType::Password, PASSWORD.into());
        let new = NewUser { roles, login_type, password, ..new_user("ann", organization) };
        deployment.user_create(&owner, new).await.unwrap();
        deployment.user_set_roles(&owner, "ann", &[]).await.unwrap();
        deployment.user_set_password(&owner, "ann", Secret::default(), NEW.into()).await.unwrap();
        deployment.user_suspend(&owner, "ann").await.unwrap();
        assert!(deployment.user_set_roles(&owner, "ann", &["king".to_owned()]).await.is_err());
        deployment.user_delete(&owner, "ann").await.unwrap();
        let entries = logged(&deployment, "ann").await;
        let done: Vec<_> = entries.iter().map(|(action, outcome, _)| (action.as_str(), outcome.as_str())).collect();
        let write = ("write", "");
        assert_eq!(done, [("create", ""), write, write, write, ("write", "invalid"), ("delete", "")]);
        for ((_, _, diff), told) in entries.iter().zip([
            r#""rbac_roles":{"old":null,"new":["auditor"],"secret":false}"#,
            r#""rbac_roles":{"old":["auditor"],"new":[],"secret":false}"#,
            r#""hashed_password":{"old":null,"new":null,"secret":true}"#,
            r#""status":{"old":"active","new":"suspended","secret":false}"#,
            "{}",
            r#""deleted":{"old":false,"new":true,"secret":false}"#,
        ]) {
            assert!(diff.contains(told) && !diff.contains("argon2"), "{told} in {diff}");
        }
    }
}

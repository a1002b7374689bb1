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
        assert!(profile.subject.is(SiteRole::Owner));
        assert_eq!(profile.subject.organizations.keys().copied().collect::<Vec<_>>(), [won[0].1]);
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
        assert_eq!(profile.subject.organizations.len(), 2);
        assert!(profile.subject.site_roles.is_empty());

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

use std::collections::BTreeMap;

use tokio::task::JoinSet;

use super::*;
use crate::domain::error::Leftovers;
use crate::service::testing::{deployments, empty_deployments};
use crate::store::Access as _;

pub(crate) fn named(name: &str) -> NewOrganization {
    NewOrganization {
        name: name.to_owned(),
        display_name: String::new(),
        description: String::new(),
        icon: String::new(),
    }
}

fn names(rows: &[organization::Model]) -> Vec<&str> {
    rows.iter().map(|row| row.name.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_equal_names_at_once_one_is_created() {
    for (deployment, owner) in deployments().await {
        let mut race = JoinSet::new();
        for n in 0..8 {
            let (service, owner) = (deployment.service.clone(), owner.clone());
            let name = if n % 2 == 0 { "Data" } else { "data" };
            race.spawn(async move { service.organization_create(&owner, named(name)).await });
        }
        let results = race.join_all().await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
        let taken =
            |error: &Error| matches!(error, Error::AlreadyExists { kind: Kind::Organization, field: "name", .. });
        assert!(results.iter().all(|result| result.as_ref().err().is_none_or(taken)), "{results:?}");
    }
}

#[tokio::test]
async fn names_are_checked_and_resolved_in_any_case() {
    for (deployment, owner) in deployments().await {
        let created = deployment.organization_create(&owner, named("Data-Platform")).await.unwrap();
        assert_eq!(created.display_name, "Data-Platform");
        for text in ["data-platform", "DATA-PLATFORM", &created.id.to_string()] {
            assert_eq!(deployment.organization_resolve(&owner, text).await.unwrap(), created);
        }
        for text in ["default", "orgplane", "00000000-0000-0000-0000-000000000000"] {
            assert!(deployment.organization_resolve(&owner, text).await.unwrap().is_default);
        }
        for text in ["", "nothing", "a\0", &created.id.0.simple().to_string()] {
            let found = deployment.organization_resolve(&owner, text).await;
            assert!(matches!(found, Err(Error::NotFound(Kind::Organization))), "{text:?}");
        }
        let bad = NewOrganization { display_name: " x".into(), icon: "a\0".into(), ..named("default") };
        match deployment.organization_create(&owner, bad).await {
            Err(Error::Invalid(violations)) => assert_eq!(violations.len(), 3),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn an_organization_is_invisible_from_outside() {
    for (deployment, owner) in deployments().await {
        let a = deployment.organization(&owner, "a").await;
        let b = deployment.organization(&owner, "b").await;
        let ann = deployment.admin(&owner, "ann", a).await;
        let foreign = b.to_string();
        for text in ["b", "default", foreign.as_str()] {
            let found = deployment.organization_resolve(&ann, text).await;
            assert!(matches!(found, Err(Error::NotFound(Kind::Organization))));
            let change = deployment.organization_update(&ann, text, OrganizationChange::default()).await;
            assert!(matches!(change, Err(Error::NotFound(_))));
            assert!(matches!(deployment.organization_delete(&ann, text).await, Err(Error::NotFound(_))));
            assert!(matches!(deployment.member_add(&ann, text, "me").await, Err(Error::NotFound(_))));
            assert!(matches!(deployment.provisioner_key_list(&ann, text).await, Err(Error::NotFound(_))));
            let key = deployment.provisioner_key_create(&ann, text, "k", BTreeMap::new()).await;
            assert!(matches!(key, Err(Error::NotFound(_))));
            let key = deployment.provisioner_key_delete(&ann, text, "k").await;
            assert!(matches!(key, Err(Error::NotFound(_))));
        }
        assert_eq!(names(&deployment.organization_list(&ann).await.unwrap()), ["a"]);
        assert_eq!(names(&deployment.organization_list(&owner).await.unwrap()), ["a", "b", "orgplane"]);
        assert_eq!(names(&deployment.user_organization_list(&ann, "me").await.unwrap()), ["a"]);
        assert_eq!(names(&deployment.user_organization_list(&owner, "ann").await.unwrap()), ["a"]);
        // Who made both is read as a member of the one.
        assert_eq!(names(&deployment.user_organization_list(&ann, "owner").await.unwrap()), ["a"]);
        deployment.member(&owner, "bob", b).await;
        assert!(matches!(deployment.user_organization_list(&ann, "bob").await, Err(Error::NotFound(Kind::User))));
        assert!(matches!(deployment.organization_create(&ann, named("c")).await, Err(Error::Denied)));
    }
}

#[tokio::test]
async fn an_update_changes_what_it_names() {
    for (deployment, owner) in deployments().await {
        let a = deployment.organization(&owner, "a").await;
        deployment.organization(&owner, "b").await;
        let ann = deployment.admin(&owner, "ann", a).await;
        let change = OrganizationChange { description: Some("words".into()), ..OrganizationChange::default() };
        let updated = deployment.organization_update(&ann, "a", change).await.unwrap();
        assert_eq!((updated.name.as_str(), updated.description.as_str()), ("a", "words"));
        let change = OrganizationChange {
            name: Some("A2".into()),
            display_name: Some(String::new()),
            description: Some(String::new()),
            icon: None,
        };
        let updated = deployment.organization_update(&ann, "a", change).await.unwrap();
        assert_eq!(
            (updated.name.as_str(), updated.display_name.as_str(), updated.description.as_str()),
            ("A2", "a", "")
        );
        let change = |name: &str| OrganizationChange { name: Some(name.into()), ..OrganizationChange::default() };
        let taken = deployment.organization_update(&ann, "a2", change("B")).await;
        assert!(matches!(taken, Err(Error::AlreadyExists { field: "name", .. })));
        let reserved = deployment.organization_update(&ann, "a2", change("default")).await;
        assert!(matches!(reserved, Err(Error::Invalid(_))));
        assert_eq!(deployment.organization_resolve(&ann, "a2").await.unwrap(), updated);
        let plain = deployment.member(&owner, "bob", a).await;
        assert!(matches!(deployment.organization_update(&plain, "a2", change("c")).await, Err(Error::Denied)));
    }
}

#[tokio::test]
async fn only_an_empty_organization_is_deleted() {
    for (deployment, owner) in deployments().await {
        let a = deployment.organization(&owner, "a").await;
        let ann = deployment.member(&owner, "ann", a).await;
        deployment.provisioner_key_create(&owner, "a", "k", BTreeMap::new()).await.unwrap();
        match deployment.organization_delete(&owner, "a").await {
            Err(Error::OrganizationNotEmpty(leftovers)) => {
                assert_eq!(leftovers, Leftovers { members: 1, provisioner_keys: 1, ..Leftovers::default() });
            }
            other => panic!("{other:?}"),
        }
        deployment.organization_resolve(&ann, "a").await.unwrap();

        let b = deployment.organization(&owner, "b").await;
        deployment.organization_delete(&owner, "B").await.unwrap();
        for text in ["b", &b.to_string()] {
            assert!(matches!(deployment.organization_resolve(&owner, text).await, Err(Error::NotFound(_))));
        }
        let names_left = deployment.user_organization_list(&owner, "me").await.unwrap();
        assert_eq!(names(&names_left), ["a", "orgplane"]);
        let again = deployment.organization(&owner, "b").await;
        assert_ne!(again, b);
    }
}

#[tokio::test]
async fn the_default_organization_is_renamed_and_never_deleted() {
    for (deployment, owner) in deployments().await {
        assert!(matches!(deployment.organization_delete(&owner, "default").await, Err(Error::DefaultOrganization)));
        let change = OrganizationChange { name: Some("main".into()), ..OrganizationChange::default() };
        let renamed = deployment.organization_update(&owner, "default", change).await.unwrap();
        assert!(renamed.is_default);
        // As at the next start.
        deployment.default_organization_ensure().await.unwrap();
        assert_eq!(names(&deployment.organization_list(&owner).await.unwrap()), ["main"]);
        assert_eq!(deployment.organization_resolve(&owner, "default").await.unwrap().name, "main");
    }
}

#[tokio::test]
async fn nothing_gets_into_an_organization_while_it_is_deleted() {
    for (deployment, owner) in deployments().await {
        for n in 0..10 {
            let name = format!("a{n}");
            let id = deployment.organization(&owner, &name).await;
            let (service, caller, text) = (deployment.service.clone(), owner.clone(), id.to_string());
            let create = tokio::spawn(async move {
                service.provisioner_key_create(&caller, &text, "k", BTreeMap::new()).await.map(|_| ())
            });
            let deleted = deployment.organization_delete(&owner, &name).await;
            let created = create.await.unwrap();
            assert!(deleted.is_ok() != created.is_ok(), "{deleted:?} {created:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_start_at_once_make_one_default_organization() {
    for deployment in empty_deployments().await {
        let tx = deployment.store.begin().await.unwrap();
        tx.execute("DELETE FROM organization", []).await.unwrap();
        tx.commit().await.unwrap();
        let mut race = JoinSet::new();
        for _ in 0..8 {
            let service = deployment.service.clone();
            race.spawn(async move { service.default_organization_ensure().await });
        }
        assert!(race.join_all().await.iter().all(Result::is_ok));
        // As when the other server's was committed after this one had looked.
        let default = store::organization::find_default(&deployment.store).await.unwrap().unwrap();
        let tx = deployment.store.begin().await.unwrap();
        let another = organization::Model { id: OrganizationId::new(), name: "x".into(), ..default.clone() };
        store::organization::insert_default(&tx, another).await.unwrap();
        tx.commit().await.unwrap();
        let rows = store::organization::list(&deployment.store, None, None).await.unwrap();
        assert_eq!(rows, [default]);
    }
}

use tokio::task::JoinSet;

use super::*;
use crate::domain::id::UserId;
use crate::domain::permission::SiteRole;
use crate::service::custom_role::tests::draft;
use crate::service::testing::{Deployment, deployments};

fn id(caller: &Caller) -> UserId {
    caller.user().unwrap().user_id
}

async fn given(deployment: &Deployment, caller: &Caller, user: &str, roles: &[&str]) -> Result<Vec<String>> {
    let roles: Vec<String> = roles.iter().map(|role| (*role).to_owned()).collect();
    let (_, held) = deployment.member_roles_update(caller, "a", user, &roles).await?;
    Ok(held.into_iter().map(|role| role.name).collect())
}

fn is_refused<T>(result: &Result<T>) -> bool {
    matches!(result, Err(Error::Invalid(violations)) if violations.iter().all(|one| one.field == "roles"))
}

#[tokio::test]
async fn a_member_is_added_once_by_those_who_may() {
    for (deployment, owner) in deployments().await {
        let a = deployment.organization(&owner, "a").await;
        let b = deployment.organization(&owner, "b").await;
        let ann = deployment.admin(&owner, "ann", a).await;
        let bob = deployment.member(&owner, "bob", b).await;
        let bob_id = id(&bob);
        assert!(matches!(deployment.member_add(&bob, "b", "ann").await, Err(Error::Denied)));
        assert!(matches!(deployment.member_add(&ann, "a", "nobody").await, Err(Error::NotFound(Kind::User))));
        let member = deployment.member_add(&ann, "A", "BOB").await.unwrap();
        assert_eq!((member.organization_id, member.user_id), (a, bob_id));
        for user in ["bob", &bob_id.to_string()] {
            assert!(matches!(deployment.member_add(&ann, "a", user).await, Err(Error::AlreadyMember)));
        }
        let bob = deployment.caller(bob_id).await;
        assert_eq!(deployment.organization_list(&bob).await.unwrap().len(), 2);
    }
}

#[tokio::test]
async fn a_member_is_removed_with_their_roles_and_never_by_themselves() {
    for (deployment, owner) in deployments().await {
        let a = deployment.organization(&owner, "a").await;
        let b = deployment.organization(&owner, "b").await;
        let ann = deployment.admin(&owner, "ann", a).await;
        let bob = deployment.admin(&owner, "bob", a).await;
        deployment.member_add(&owner, "b", "bob").await.unwrap();
        deployment.member(&owner, "eve", b).await;
        assert!(matches!(deployment.member_remove(&ann, "a", "me").await, Err(Error::Oneself(_))));
        assert!(matches!(deployment.member_remove(&ann, "b", "bob").await, Err(Error::NotFound(_))));
        for nobody in ["eve", "nobody"] {
            assert!(matches!(deployment.member_remove(&ann, "a", nobody).await, Err(Error::NotFound(_))));
        }
        deployment.member_remove(&ann, "a", "BOB").await.unwrap();
        assert!(matches!(deployment.member_remove(&ann, "a", "bob").await, Err(Error::NotFound(Kind::Member))));
        let gone = deployment.caller(id(&bob)).await;
        assert!(gone.user().unwrap().organizations.keys().eq([&b]), "what they hold elsewhere stays");
        deployment.member_add(&ann, "a", "bob").await.unwrap();
        let back = deployment.member_get(&ann, "a", "bob").await.unwrap();
        assert!(back.roles.is_empty(), "{back:?}");
    }
}

#[tokio::test]
async fn roles_are_replaced_by_those_who_may_give_and_take_them() {
    for (deployment, owner) in deployments().await {
        let a = deployment.organization(&owner, "a").await;
        let ann = deployment.admin(&owner, "ann", a).await;
        let bob = deployment.member(&owner, "bob", a).await;
        deployment.member(&owner, "cid", a).await;
        deployment.custom_role_create(&ann, "a", draft("Zoo", &["template:read"])).await.unwrap();
        deployment.custom_role_create(&ann, "a", draft("able", &["template:update"])).await.unwrap();

        let all = ["zoo", "organization-user-admin", "ABLE", "organization-auditor", "zoo"];
        let held = given(&deployment, &ann, "bob", &all).await.unwrap();
        assert_eq!(held, ["organization-user-admin", "organization-auditor", "able", "Zoo"]);
        let view = deployment.member_get(&bob, "a", "me").await.unwrap();
        assert_eq!(view.roles.iter().map(|role| role.name.as_str()).collect::<Vec<_>>(), held);
        for unknown in ["organization-member", "owner", "nothing", "", "Organization-Auditor"] {
            assert!(is_refused(&given(&deployment, &ann, "bob", &["zoo", unknown]).await), "{unknown}");
        }
        for who in [&owner, &ann] {
            deployment.member_add(&owner, "a", "owner").await.ok();
            assert!(matches!(given(&deployment, who, "me", &[]).await, Err(Error::Oneself(_))));
        }
        assert!(matches!(given(&deployment, &ann, "nobody", &[]).await, Err(Error::NotFound(Kind::User))));

        // A user admin of the organization gives what they hold, takes no more, and leaves the rest.
        let bob = deployment.caller(id(&bob)).await;
        assert_eq!(given(&deployment, &bob, "cid", &["zoo"]).await.unwrap(), ["Zoo"]);
        assert_eq!(given(&deployment, &bob, "cid", &["zoo", "able"]).await.unwrap(), ["able", "Zoo"], "they hold it");
        assert!(is_refused(&given(&deployment, &bob, "cid", &["organization-auditor"]).await));
        assert!(is_refused(&given(&deployment, &bob, "ann", &[]).await), "an admin stays one");
        let kept = given(&deployment, &bob, "ann", &["organization-admin", "zoo"]).await.unwrap();
        assert_eq!(kept, ["organization-admin", "Zoo"]);
        given(&deployment, &ann, "bob", &["organization-user-admin"]).await.unwrap();
        let bob = deployment.caller(id(&bob)).await;
        assert!(is_refused(&given(&deployment, &bob, "cid", &["zoo"]).await), "they don't hold it any more");
        assert!(given(&deployment, &ann, "bob", &[]).await.unwrap().is_empty());
        let bob = deployment.caller(id(&bob)).await;
        assert!(matches!(given(&deployment, &bob, "cid", &[]).await, Err(Error::Denied)));
    }
}

#[tokio::test]
async fn a_user_admin_of_the_site_adds_members_and_gives_no_roles() {
    for (deployment, owner) in deployments().await {
        let a = deployment.organization(&owner, "a").await;
        let b = deployment.organization(&owner, "b").await;
        deployment.member(&owner, "ann", b).await;
        let admin = deployment.member(&owner, "admin", b).await;
        let admin = deployment.site_role(&admin, SiteRole::UserAdmin).await;
        deployment.member_add(&admin, "a", "ann").await.unwrap();
        deployment.custom_role_create(&owner, &a.to_string(), draft("able", &["template:update"])).await.unwrap();
        for role in ["organization-admin", "organization-auditor", "able"] {
            assert!(is_refused(&given(&deployment, &admin, "ann", &[role]).await), "{role}");
        }
        deployment.member_remove(&admin, "a", "ann").await.unwrap();
    }
}

#[tokio::test]
async fn a_changed_role_counts_from_the_next_call() {
    for (deployment, owner) in deployments().await {
        let a = deployment.organization(&owner, "a").await;
        let bob = id(&deployment.member(&owner, "bob", a).await);
        deployment.custom_role_create(&owner, "a", draft("keys", &["provisioner_daemon:create"])).await.unwrap();
        given(&deployment, &owner, "bob", &["keys"]).await.unwrap();
        let create = async |name: &str| {
            let bob = deployment.caller(bob).await;
            deployment.provisioner_key_create(&bob, "a", name, std::collections::BTreeMap::new()).await.map(|_| ())
        };
        create("one").await.unwrap();
        deployment.custom_role_update(&owner, "a", draft("keys", &["template:update"])).await.unwrap();
        assert!(matches!(create("two").await, Err(Error::Denied)));
        deployment.custom_role_update(&owner, "a", draft("keys", &["provisioner_daemon:create"])).await.unwrap();
        create("two").await.unwrap();
        deployment.custom_role_delete(&owner, "a", "keys").await.unwrap();
        assert!(matches!(create("three").await, Err(Error::Denied)));
        deployment.custom_role_create(&owner, "a", draft("keys", &["provisioner_daemon:create"])).await.unwrap();
        assert!(matches!(create("three").await, Err(Error::Denied)), "a new role of the name is another one");
    }
}

async fn found(deployment: &Deployment, caller: &Caller, search: MemberSearch) -> (Vec<String>, u64) {
    let (views, count) = deployment.member_search(caller, "a", search).await.unwrap();
    (views.into_iter().map(|view| view.user.username).collect(), count)
}

#[tokio::test]
async fn members_are_searched_by_page_within_their_organization() {
    for (deployment, owner) in deployments().await {
        let a = deployment.organization(&owner, "a").await;
        let b = deployment.organization(&owner, "b").await;
        let ann = deployment.admin(&owner, "Ann", a).await;
        for name in ["cid", "bob", "Dee"] {
            deployment.member(&owner, name, a).await;
        }
        let eve = deployment.admin(&owner, "ben", b).await;
        deployment.member_add(&owner, "b", "bob").await.unwrap();
        deployment.custom_role_create(&owner, "b", draft("secret", &[])).await.unwrap();
        deployment.member_roles_update(&owner, "b", "bob", &["secret".to_owned()]).await.unwrap();

        let all = ["Ann", "bob", "cid", "Dee", "owner"];
        let list = deployment.member_list(&ann, "a", "").await.unwrap();
        assert_eq!(list.iter().map(|view| view.user.username.as_str()).collect::<Vec<_>>(), all);
        assert_eq!(list[0].roles[0].name, "organization-admin");
        assert!(list[1].roles.is_empty(), "what somebody holds elsewhere isn't told: {:?}", list[1]);
        assert_eq!(list[4].site_roles, [SiteRole::Owner]);
        let page = async |limit, offset, after_id: String| {
            found(&deployment, &ann, MemberSearch { limit, offset, after_id, ..MemberSearch::default() }).await
        };
        assert_eq!(page(2, 1, String::new()).await, (vec!["bob".into(), "cid".into()], 5));
        assert_eq!(page(2, 0, list[2].user.id.to_string()).await, (vec!["Dee".into(), "owner".into()], 5));
        // Where another organization's member would stand isn't told.
        assert_eq!(page(0, 0, id(&eve).to_string()).await, (vec![], 5));

        let search =
            async |q: &str| found(&deployment, &ann, MemberSearch { q: q.into(), ..Default::default() }).await.0;
        assert_eq!(search("B").await, ["bob"]);
        assert_eq!(search("D@EXAMPLE").await, ["cid"]);
        assert_eq!(search("search:e status:active,dormant login_type:none").await, ["Ann", "bob", "cid", "Dee"]);
        assert!(search("status:suspended").await.is_empty());
        assert!(search("%").await.is_empty() && search("_").await.is_empty());
        assert_eq!(search(&format!("user_id:{},{}", list[1].user.id, id(&eve))).await, ["bob"]);
        for (bad, field) in [("color:red", "color"), ("status:happy", "status"), ("user_id:x", "ids"), ("a:", "q")] {
            match deployment.member_list(&ann, "a", bad).await {
                Err(Error::Invalid(violations)) => assert_eq!(violations[0].field, field),
                other => panic!("{bad}: {other:?}"),
            }
        }
        for text in ["b", &b.to_string()] {
            assert!(matches!(deployment.member_list(&ann, text, "").await, Err(Error::NotFound(_))));
            assert!(matches!(deployment.member_get(&ann, text, "bob").await, Err(Error::NotFound(_))));
        }
        assert!(matches!(deployment.member_get(&ann, "a", "ben").await, Err(Error::NotFound(Kind::Member))));
    }
}

/// Of two changes at once, one's roles are the member's, and not some of each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_are_replaced_as_a_whole() {
    for (deployment, owner) in deployments().await {
        let a = deployment.organization(&owner, "a").await;
        deployment.member(&owner, "ann", a).await;
        for _ in 0..10 {
            let mut race = JoinSet::new();
            for role in ["organization-admin", "organization-auditor", "organization-user-admin"] {
                let (service, owner) = (deployment.service.clone(), owner.clone());
                race.spawn(async move { service.member_roles_update(&owner, "a", "ann", &[role.to_owned()]).await });
            }
            assert!(race.join_all().await.iter().all(Result::is_ok));
            let roles = deployment.member_get(&owner, "a", "ann").await.unwrap().roles;
            assert_eq!(roles.len(), 1, "{roles:?}");
            given(&deployment, &owner, "ann", &[]).await.unwrap();
        }
    }
}

use tokio::task::JoinSet;

use super::*;
use crate::service::testing::{Deployment, deployments};
use crate::store::Access as _;

pub(crate) fn draft(name: &str, permissions: &[&str]) -> RoleDraft {
    let wanted = permissions.iter().map(|text| {
        let (resource, action) = text.split_once(':').unwrap();
        Wanted { negate: false, resource: resource.to_owned(), action: action.to_owned() }
    });
    RoleDraft { name: name.to_owned(), permissions: wanted.collect(), ..RoleDraft::default() }
}

/// The fields that a request is refused for.
fn refused<T: std::fmt::Debug>(result: Result<T>) -> Vec<String> {
    match result {
        Err(Error::Invalid(violations)) => violations.into_iter().map(|one| one.field).collect(),
        other => panic!("{other:?}"),
    }
}

async fn listed(deployment: &Deployment, caller: &Caller, organization: &str) -> Vec<RoleView> {
    deployment.role_list(caller, organization).await.unwrap().1
}

#[tokio::test]
async fn a_role_is_made_changed_and_deleted() {
    for (deployment, owner) in deployments().await {
        let (a, _) = (deployment.organization(&owner, "a").await, deployment.organization(&owner, "b").await);
        let ann = deployment.admin(&owner, "ann", a).await;
        let made = deployment.custom_role_create(&ann, "a", draft("Editor", &["template:update"])).await.unwrap();
        assert_eq!((made.name.as_str(), made.permissions.as_str()), ("Editor", "template:update"));
        // Another organization's of the same name is another role.
        deployment.custom_role_create(&owner, "b", draft("editor", &[])).await.unwrap();
        deployment.custom_role_create(&ann, "a", draft("copier", &["template:read", "file:create"])).await.unwrap();

        let roles = listed(&deployment, &ann, "a").await;
        let names: Vec<&str> = roles.iter().map(|role| role.name.as_str()).collect();
        let built_in = OrganizationRole::ALL.map(OrganizationRole::text);
        assert_eq!(names, [&built_in[..], &["copier", "Editor"]].concat());
        assert!(roles.iter().all(|role| role.assignable && role.built_in == built_in.contains(&role.name.as_str())));
        assert!(roles[0].grants.contains(&(Resource::Organization, Action::Delete)) && roles[0].bans.is_empty());
        assert!(roles[4].grants.is_empty() && roles[4].bans.contains(&(Resource::Workspace, Action::Create)));

        let change = RoleDraft { display_name: "Editors".into(), ..draft("EDITOR", &["moon:walk", "template:delete"]) };
        let changed = deployment.custom_role_update(&ann, "a", change).await.unwrap();
        assert_eq!((changed.id, changed.name.as_str(), changed.display_name.as_str()), (made.id, "Editor", "Editors"));
        assert_eq!(changed.permissions, "template:delete", "what isn't known is left out");
        let none = deployment.custom_role_update(&ann, "a", draft("nothing", &[])).await;
        assert!(matches!(none, Err(Error::NotFound(Kind::Role))));

        deployment.custom_role_delete(&ann, "a", "editor").await.unwrap();
        assert!(matches!(deployment.custom_role_delete(&ann, "a", "editor").await, Err(Error::NotFound(Kind::Role))));
        assert_eq!(listed(&deployment, &owner, "b").await.len(), 6, "the other organization's stays");
    }
}

#[tokio::test]
async fn what_breaks_a_rule_is_refused() {
    for (deployment, owner) in deployments().await {
        deployment.organization(&owner, "a").await;
        deployment.custom_role_create(&owner, "a", draft("taken", &[])).await.unwrap();
        let bad = RoleDraft { display_name: " x".into(), elsewhere: vec!["site_permissions"], ..draft("owner", &[]) };
        let create = async |draft| deployment.custom_role_create(&owner, "a", draft).await;
        assert_eq!(refused(create(bad).await), ["name", "display_name", "site_permissions"]);
        for name in ["TAKEN", "organization-admin", "member", "a b", "new", ""] {
            assert_eq!(refused(create(draft(name, &[])).await), ["name"], "{name}");
        }
        let unknown = draft("b", &["template:read", "user:read"]);
        assert_eq!(refused(create(unknown).await), ["organization_permissions[1]"]);
        let mut negated = draft("b", &["template:read"]);
        negated.permissions[0].negate = true;
        assert_eq!(refused(create(negated.clone()).await), ["organization_permissions[0]"]);
        let update = deployment.custom_role_update(&owner, "a", RoleDraft { name: "taken".into(), ..negated }).await;
        assert_eq!(refused(update), ["organization_permissions[0]"]);
    }
}

#[tokio::test]
async fn nobody_grants_what_they_do_not_hold() {
    for (deployment, owner) in deployments().await {
        let a = deployment.organization(&owner, "a").await;
        let (ann, bob) = (deployment.admin(&owner, "ann", a).await, deployment.member(&owner, "bob", a).await);
        let makes = draft("maker", &["assign_org_role:create", "assign_org_role:update", "template:update"]);
        deployment.custom_role_create(&ann, "a", makes).await.unwrap();
        assert!(matches!(deployment.custom_role_create(&bob, "a", draft("b", &[])).await, Err(Error::Denied)));
        // Cancelling everybody's builds is the site's owner's alone.
        let beyond = draft("b", &["workspace:interrupt"]);
        assert_eq!(refused(deployment.custom_role_create(&ann, "a", beyond).await), ["organization_permissions"]);
        deployment.member_roles_update(&ann, "a", "bob", &["maker".to_owned()]).await.unwrap();

        let bob = deployment.caller(bob.user().unwrap().user_id).await;
        deployment.custom_role_create(&bob, "a", draft("b", &["template:update", "template:read"])).await.unwrap();
        for one in ["template:delete", "assign_org_role:assign", "organization:update", "workspace:read"] {
            let made = deployment.custom_role_create(&bob, "a", draft("c", &[one])).await;
            assert_eq!(refused(made), ["organization_permissions"], "{one}");
            let changed = deployment.custom_role_update(&bob, "a", draft("maker", &[one])).await;
            assert_eq!(refused(changed), ["organization_permissions"], "{one}");
        }
        assert!(matches!(deployment.custom_role_delete(&bob, "a", "b").await, Err(Error::Denied)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_equal_names_at_once_one_is_made() {
    for (deployment, owner) in deployments().await {
        deployment.organization(&owner, "a").await;
        let mut race = JoinSet::new();
        for n in 0..8 {
            let (service, owner) = (deployment.service.clone(), owner.clone());
            let name = if n % 2 == 0 { "Editor" } else { "editor" };
            race.spawn(async move { service.custom_role_create(&owner, "a", draft(name, &[])).await });
        }
        let results = race.join_all().await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
        for lost in results.into_iter().filter(Result::is_err) {
            assert_eq!(refused(lost), ["name"]);
        }
    }
}

/// Whoever is given a role at the moment in which it is deleted has it or hasn't; afterwards nobody has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_is_deleted_while_it_is_given() {
    for (deployment, owner) in deployments().await {
        let a = deployment.organization(&owner, "a").await;
        for name in ["ann", "bob", "cid"] {
            deployment.member(&owner, name, a).await;
        }
        for n in 0..10 {
            let role = format!("role-{n}");
            deployment.custom_role_create(&owner, "a", draft(&role, &["template:update"])).await.unwrap();
            let mut race = JoinSet::new();
            for user in ["ann", "bob", "cid"] {
                let (service, owner, role) = (deployment.service.clone(), owner.clone(), role.clone());
                race.spawn(async move { service.member_roles_update(&owner, "a", user, &[role]).await.map(|_| ()) });
            }
            deployment.custom_role_delete(&owner, "a", &role).await.unwrap();
            for given in race.join_all().await {
                assert!(given.is_ok() || refused(given) == ["roles"]);
            }
            let sql = "SELECT count(*) FROM role_grant WHERE role = $1";
            let row = deployment.store.query_one(sql, [role.into()]).await.unwrap().unwrap();
            assert_eq!(row.try_get_by_index::<i64>(0).unwrap(), 0, "nobody has what is gone");
        }
    }
}

use super::*;
use crate::domain::Error;
use crate::domain::error::Credential;
use crate::service::Service;
use crate::service::testing::deployments;
use crate::store::Access as _;

fn tags(tags: &[(&str, &str)]) -> BTreeMap<String, String> {
    tags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

async fn refused(service: &Service, key: &str) -> Credential {
    match service.provisioner_key_authenticate(key).await {
        Err(Error::Unauthenticated(credential)) => credential,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_key_is_shown_once_and_its_hash_is_kept() {
    for (deployment, owner) in deployments().await {
        let organization = deployment.organization(&owner, "data").await;
        let key = deployment
            .provisioner_key_create(&owner, "data", "Data-Cluster", tags(&[("env", "prod"), ("none", "")]))
            .await
            .unwrap();
        let listed = deployment.provisioner_key_list(&owner, "data").await.unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].name, "data-cluster");
        assert_eq!(listed[0].tags.0, tags(&[("env", "prod")]));
        assert_eq!(listed[0].last_used_at, None);

        let row = deployment.store.query_one("SELECT secret_sha256 FROM provisioner_key_secret", []).await.unwrap();
        let stored: Vec<u8> = row.unwrap().try_get_by_index(0).unwrap();
        assert_eq!(stored, key.hash());

        let identity = deployment.provisioner_key_authenticate(key.reveal()).await.unwrap();
        assert_eq!((identity.key_id, identity.organization_id), (listed[0].id, organization));
        let used = deployment.provisioner_key_list(&owner, "data").await.unwrap()[0].last_used_at;
        assert!(used.is_some());
        deployment.provisioner_key_authenticate(key.reveal()).await.unwrap();
        let again = deployment.provisioner_key_list(&owner, "data").await.unwrap()[0].last_used_at;
        assert_eq!(again, used, "written once a minute");
    }
}

#[tokio::test]
async fn a_key_that_is_gone_is_told_from_one_that_never_was_one() {
    for (deployment, owner) in deployments().await {
        let create = async |name: &str| {
            deployment.provisioner_key_create(&owner, "default", name, BTreeMap::new()).await.unwrap()
        };
        let (deleted, revoked, expired) = (create("deleted").await, create("revoked").await, create("expired").await);
        deployment.provisioner_key_delete(&owner, "default", "DELETED").await.unwrap();
        let tx = deployment.store.begin().await.unwrap();
        for (column, key) in [("revoked_at", &revoked), ("expires_at", &expired)] {
            let sql = format!("UPDATE provisioner_key_secret SET {column} = 1 WHERE secret_sha256 = $1");
            assert_eq!(tx.execute(&sql, [key.hash().into()]).await.unwrap(), 1);
        }
        tx.commit().await.unwrap();
        assert_eq!(refused(&deployment, deleted.reveal()).await, Credential::KeyUnknown);
        assert_eq!(refused(&deployment, revoked.reveal()).await, Credential::KeyRevoked);
        assert_eq!(refused(&deployment, expired.reveal()).await, Credential::KeyRevoked);
        assert_eq!(refused(&deployment, ProvisionerKey::generate().reveal()).await, Credential::KeyUnknown);
        assert_eq!(refused(&deployment, &revoked.reveal()[1..]).await, Credential::KeyMalformed);
        let names: Vec<_> = deployment.provisioner_key_list(&owner, "default").await.unwrap();
        assert_eq!(names.iter().map(|key| key.name.as_str()).collect::<Vec<_>>(), ["revoked", "expired"]);
    }
}

#[tokio::test]
async fn keys_keep_the_rules_and_are_their_organizations_own() {
    for (deployment, owner) in deployments().await {
        let a = deployment.organization(&owner, "a").await;
        let ann = deployment.admin(&owner, "ann", a).await;
        let bob = deployment.member(&owner, "bob", a).await;
        deployment.provisioner_key_create(&ann, "a", "k", BTreeMap::new()).await.unwrap();
        deployment.provisioner_key_create(&owner, "default", "k", BTreeMap::new()).await.unwrap();
        let again = deployment.provisioner_key_create(&ann, "a", "K", BTreeMap::new()).await;
        assert!(matches!(again, Err(Error::AlreadyExists { kind: Kind::ProvisionerKey, field: "name", .. })));
        let bad = deployment.provisioner_key_create(&ann, "a", "psk", tags(&[("scope", "user"), ("a\0", "x")])).await;
        match bad {
            Err(Error::Invalid(violations)) => {
                let fields: Vec<_> = violations.iter().map(|violation| violation.field.as_str()).collect();
                assert_eq!(fields, ["name", "tags", "tags"]);
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(deployment.provisioner_key_list(&bob, "a").await.unwrap().len(), 1);
        let denied = deployment.provisioner_key_create(&bob, "a", "b", BTreeMap::new()).await;
        assert!(matches!(denied, Err(Error::Denied)));
        assert!(matches!(deployment.provisioner_key_delete(&bob, "a", "k").await, Err(Error::Denied)));
        assert!(matches!(deployment.provisioner_key_delete(&ann, "a", "psk").await, Err(Error::Invalid(_))));
        assert!(matches!(deployment.provisioner_key_delete(&ann, "a", "none").await, Err(Error::NotFound(_))));
        deployment.provisioner_key_delete(&ann, "a", "k").await.unwrap();
        assert_eq!(deployment.provisioner_key_list(&owner, "default").await.unwrap().len(), 1);
    }
}

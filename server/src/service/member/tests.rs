use crate::domain::Error;
use crate::domain::error::Kind;
use crate::service::testing::deployments;

#[tokio::test]
async fn a_member_is_added_once_by_those_who_may() {
    for (deployment, owner) in deployments().await {
        let a = deployment.organization(&owner, "a").await;
        let b = deployment.organization(&owner, "b").await;
        let ann = deployment.admin(&owner, "ann", a).await;
        let bob = deployment.member(&owner, "bob", b).await;
        let bob_id = bob.user().unwrap().user_id;
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

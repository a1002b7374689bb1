use super::*;
use crate::domain::Timestamp;
use crate::domain::id::RoleGrantId;
use crate::domain::member::{Audience, GrantSource};
use crate::store::entity::organization;
use crate::store::testing::stores;
use crate::store::{Store, member_role};

async fn organization(store: &Store, name: &str, members: usize) -> OrganizationId {
    let id = OrganizationId::new();
    let tx = store.begin().await.unwrap();
    let row = organization::Model {
        id,
        name: name.to_owned(),
        display_name: String::new(),
        description: String::new(),
        icon: String::new(),
        is_default: false,
        deleted: false,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
    };
    crate::store::organization::insert(&tx, row).await.unwrap();
    for number in 0..members {
        let username = format!("{name}-{number:04}");
        let user = user_account::Model {
            id: UserId::new(),
            email: format!("{username}@example.com"),
            username,
            name: String::new(),
            avatar_url: String::new(),
            password_hash: String::new(),
            login_type: LoginType::None,
            status: UserStatus::Active,
            deleted: false,
            last_seen_at: None,
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
        };
        let member = Model {
            organization_id: id,
            user_id: user.id,
            status: MembershipStatus::Active,
            audience: Audience::Operating,
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
        };
        let role = role_grant::Model {
            id: RoleGrantId::new(),
            user_id: user.id,
            organization_id: Some(id),
            role: "organization-auditor".to_owned(),
            source: GrantSource::Manual,
            created_at: Timestamp(0),
        };
        crate::store::user::insert(&tx, user).await.unwrap();
        insert(&tx, member).await.unwrap();
        grant(&tx, role).await.unwrap();
    }
    tx.commit().await.unwrap();
    id
}

/// A page is read with as many statements whatever its length, and however many members there are.
#[tokio::test]
async fn a_list_takes_as_many_statements_for_many_as_for_few() {
    for store in stores().await {
        let (few, many) = (organization(&store, "few", 2).await, organization(&store, "many", 1200).await);
        let filter = Filter { text: "example".to_owned(), ..Filter::default() };
        let read = async |organization| {
            let before = store.statements();
            let part = Part { after: None, offset: 0, limit: 1000 };
            let found = list(&*store, organization, &filter, part).await.unwrap();
            let users: Vec<_> = found.iter().map(|(_, user)| user.id).collect();
            let held = member_role::list(&*store, organization, &users).await.unwrap();
            assert_eq!(held.len(), users.len());
            (users.len(), count(&*store, organization, &filter).await.unwrap(), store.statements() - before)
        };
        assert_eq!(read(few).await, (2, 2, 3));
        assert_eq!(read(many).await, (1000, 1200, 3));
    }
}

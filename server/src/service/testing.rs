//! A deployment for tests: a service over a fresh store of each kind, with its first user.

use std::ops::Deref;
use std::sync::Arc;

use uuid::Uuid;

use super::user::{NewFirstUser, NewUser};
use super::{Actor, Caller, Service};
use crate::dispatch::Dispatcher;
use crate::dispatch::news::News;
use crate::dispatch::sql::SqlQueue;
use crate::domain::id::{OrganizationId, RoleGrantId, UserId};
use crate::domain::member::GrantSource;
use crate::domain::permission::{OrganizationRole, Scope, SiteRole};
use crate::domain::secret::Secret;
use crate::domain::user::{LoginType, UserStatus};
use crate::options::Provisioners;
use crate::store;
use crate::store::entity::role_grant;
use crate::store::testing::{TestStore, stores};

/// The password of everybody in tests.
pub(crate) const PASSWORD: &str = "tR0ub4dor&3-staple";

/// A service over a store of its own.
pub(crate) struct Deployment {
    pub(crate) service: Arc<Service>,
    test_store: TestStore,
}

impl Deref for Deployment {
    type Target = Service;

    fn deref(&self) -> &Service {
        &self.service
    }
}

/// Deployments without a user.
pub(crate) async fn empty_deployments() -> Vec<Deployment> {
    let mut deployments = Vec::new();
    for store in stores().await {
        let options = Provisioners::default();
        let news = Arc::new(News::default());
        let queue = Arc::new(SqlQueue::new(store.clone(), (&options).into(), news.clone()));
        let dispatcher = Arc::new(Dispatcher::new(queue, &options));
        let service = Service::new(store.clone(), dispatcher, news, options);
        service.default_organization_ensure().await.unwrap();
        deployments.push(Deployment { service: Arc::new(service), test_store: store });
    }
    deployments
}

/// Deployments with a first user named `owner`, each with that user as a caller.
pub(crate) async fn deployments() -> Vec<(Deployment, Caller)> {
    let mut deployments = Vec::new();
    for deployment in empty_deployments().await {
        let (user_id, _) = deployment.first_user_create(&anonymous(), first_user("owner")).await.unwrap();
        let caller = deployment.caller(user_id).await;
        deployments.push((deployment, caller));
    }
    deployments
}

pub(crate) fn first_user(username: &str) -> NewFirstUser {
    NewFirstUser {
        email: format!("{username}@example.com"),
        username: username.to_owned(),
        name: String::new(),
        password: PASSWORD.into(),
    }
}

pub(crate) fn new_user(username: &str, organization: OrganizationId) -> NewUser {
    NewUser {
        email: format!("{username}@example.com"),
        username: username.to_owned(),
        name: String::new(),
        password: Secret::default(),
        login_type: LoginType::None,
        status: UserStatus::Active,
        organization_ids: vec![organization.to_string()],
        roles: Vec::new(),
    }
}

/// Nobody.
pub(crate) fn anonymous() -> Caller {
    Caller { actor: Actor::Anonymous, address: None, user_agent: String::new(), request_id: Uuid::now_v7() }
}

impl Deployment {
    /// How many statements were run so far.
    pub(crate) fn statements(&self) -> usize {
        self.test_store.statements()
    }

    /// The user as a caller, with what they hold now.
    pub(crate) async fn caller(&self, user: UserId) -> Caller {
        let subject = store::session::subject(&self.store, user, Scope::All).await.unwrap();
        Caller { actor: Actor::User { subject, api_key_id: String::new() }, ..anonymous() }
    }

    /// A new member of an organization as a caller.
    pub(crate) async fn member(&self, owner: &Caller, username: &str, organization: OrganizationId) -> Caller {
        let profile = self.user_create(owner, new_user(username, organization)).await.unwrap();
        self.caller(profile.user.id).await
    }

    /// A new administrator of an organization as a caller.
    pub(crate) async fn admin(&self, owner: &Caller, username: &str, organization: OrganizationId) -> Caller {
        let member = self.member(owner, username, organization).await;
        self.grant(&member, Some(organization), OrganizationRole::Admin.text()).await
    }

    /// The same caller with a role of the site.
    pub(crate) async fn site_role(&self, caller: &Caller, role: SiteRole) -> Caller {
        self.grant(caller, None, role.text()).await
    }

    async fn grant(&self, caller: &Caller, organization_id: Option<OrganizationId>, role: &str) -> Caller {
        let user_id = caller.user().unwrap().user_id;
        let tx = self.store.begin().await.unwrap();
        let grant = role_grant::Model {
            id: RoleGrantId::new(),
            user_id,
            organization_id,
            role: role.to_owned(),
            source: GrantSource::Manual,
            created_at: store::now(&tx).await.unwrap(),
        };
        store::member::grant(&tx, grant).await.unwrap();
        tx.commit().await.unwrap();
        self.caller(user_id).await
    }

    /// A new organization's id.
    pub(crate) async fn organization(&self, owner: &Caller, name: &str) -> OrganizationId {
        self.organization_create(owner, super::organization::tests::named(name)).await.unwrap().id
    }
}

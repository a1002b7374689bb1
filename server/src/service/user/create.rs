//! New accounts.

use std::collections::BTreeSet;

use super::{Profile, account_rules, grant_of_site, membership, roles};
use crate::domain::audit::{AuditAction, AuditResource};
use crate::domain::error::Kind;
use crate::domain::id::{OrganizationId, UserId};
use crate::domain::permission::{Action, Object, Resource, Subject, allowed, authorize, may_assign_of_site};
use crate::domain::rule::Violations;
use crate::domain::secret::Secret;
use crate::domain::user::{LoginType, UserStatus};
use crate::domain::{Error, Result, email, password};
use crate::service::audit::Attempt;
use crate::service::{Caller, Service};
use crate::store;
use crate::store::entity::user_account;

/// Organizations that a new user can be put into at once.
const MOST_ORGANIZATIONS: usize = 100;

/// What a user is created from.
#[derive(Debug)]
pub struct NewUser {
    /// The address to sign in with.
    pub email: String,
    /// Their handle.
    pub username: String,
    /// Their real name.
    pub name: String,
    /// Their password; empty for those who don't sign in with one.
    pub password: Secret,
    /// How they sign in.
    pub login_type: LoginType,
    /// Whether they may, and whether they did.
    pub status: UserStatus,
    /// The ids of their organizations as the client wrote them; nil is the default one.
    pub organization_ids: Vec<String>,
    /// Their roles of the site, by their names.
    pub roles: Vec<String>,
}

impl Service {
    /// Creates a user as a member of the named organizations.
    ///
    /// # Errors
    /// [`Error::Denied`] for those who may not, [`Error::Invalid`] when a rule is broken, [`Error::NotFound`] when an
    /// organization isn't there, [`Error::AlreadyExists`] when the username or address is taken.
    pub async fn user_create(&self, caller: &Caller, new: NewUser) -> Result<Profile> {
        let mut attempt = self.attempt(caller, AuditAction::Create, AuditResource::User);
        let result = self.user_create_attempt(caller, new, &mut attempt).await;
        attempt.end(result).await
    }

    async fn user_create_attempt(&self, caller: &Caller, new: NewUser, attempt: &mut Attempt<'_>) -> Result<Profile> {
        let subject = caller.user()?;
        attempt.named(&new.username);
        if !allowed(subject, Action::Create, &Object::site(Resource::User)) {
            return Err(Error::Denied);
        }
        let mut violations = Violations::default();
        account_rules(&mut violations, &new.email, &new.username, &new.name);
        match new.login_type {
            LoginType::Password => violations.check("password", password::check(&new.password)),
            LoginType::Token => violations.add("login_type", "must be `password` or `none`: keys alone are tokens"),
            LoginType::None if !new.password.is_empty() => {
                violations.add("password", "must be empty unless the user signs in with a password");
            }
            LoginType::None => {}
        }
        let organizations = organization_ids(&mut violations, &new.organization_ids);
        let roles = roles::named(&mut violations, &new.roles);
        if !roles.is_empty() && !may_assign_of_site(subject) {
            violations.add("roles", roles::NOT_ASSIGNABLE);
        }
        violations.finish()?;
        let organizations = self.organizations_to_join(subject, organizations).await?;
        let password_hash = match new.login_type {
            LoginType::Password => self.passwords.hash(new.password).await?,
            LoginType::None | LoginType::Token => String::new(),
        };

        let tx = self.store.begin().await?;
        let now = store::now(&tx).await?;
        let user = user_account::Model {
            id: UserId::new(),
            username: new.username,
            email: email::canonical(&new.email),
            name: new.name,
            avatar_url: String::new(),
            password_hash,
            login_type: new.login_type,
            status: new.status,
            deleted: false,
            last_seen_at: None,
            created_at: now,
            updated_at: now,
        };
        store::organization::hold_all(&tx, &organizations).await?;
        store::user::insert(&tx, user.clone()).await?;
        let members = organizations.iter().map(|id| membership(*id, user.id, now)).collect();
        store::member::insert_all(&tx, members).await?;
        for role in &roles {
            store::member::grant(&tx, grant_of_site(user.id, *role, now)).await?;
        }
        let created = Profile { user, roles, organizations: organizations.into_iter().collect() };
        attempt.about(created.user.id.0, &created.user.username);
        attempt.change(None, Some(&created)).commit(tx).await?;
        Ok(created)
    }

    /// The live ones of these, all of which the subject must be able to add members to.
    async fn organizations_to_join(
        &self,
        subject: &Subject,
        mut ids: BTreeSet<OrganizationId>,
    ) -> Result<BTreeSet<OrganizationId>> {
        if ids.remove(&OrganizationId(uuid::Uuid::nil())) {
            let default = store::organization::find_default(&self.store).await?;
            ids.insert(default.ok_or(Error::NotFound(Kind::Organization))?.id);
        }
        let found = store::organization::find_all(&self.store, &ids).await?;
        for organization in &found {
            let object = Object::of(Resource::Organization, organization.id);
            authorize(subject, Action::Read, &object, Kind::Organization)?;
            let object = Object::of(Resource::OrganizationMember, organization.id);
            authorize(subject, Action::Create, &object, Kind::Organization)?;
        }
        if found.len() == ids.len() { Ok(ids) } else { Err(Error::NotFound(Kind::Organization)) }
    }
}

fn organization_ids(violations: &mut Violations, texts: &[String]) -> BTreeSet<OrganizationId> {
    const FIELD: &str = "organization_ids";
    if texts.is_empty() || texts.len() > MOST_ORGANIZATIONS {
        violations.add(FIELD, format!("must name 1 to {MOST_ORGANIZATIONS} organizations"));
        return BTreeSet::new();
    }
    let ids: Option<BTreeSet<_>> = texts.iter().map(|text| OrganizationId::parse(text)).collect();
    if ids.is_none() {
        violations.add(FIELD, "must be UUIDs");
    }
    ids.unwrap_or_default()
}

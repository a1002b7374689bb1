//! Accounts.

use std::collections::BTreeSet;

use super::audit::Attempt;
use super::{Caller, Service};
use crate::domain::audit::{AuditAction, AuditResource};
use crate::domain::error::Kind;
use crate::domain::id::{OrganizationId, RoleGrantId, UserId};
use crate::domain::member::{Audience, GrantSource, MembershipStatus};
use crate::domain::permission::{Action, Object, Resource, Scope, SiteRole, Subject, allowed, authorize};
use crate::domain::rule::Violations;
use crate::domain::secret::Secret;
use crate::domain::user::{LoginType, UserStatus};
use crate::domain::{Error, Result, Timestamp, email, name, password};
use crate::store;
use crate::store::entity::{organization_member, role_grant, user_account};

/// Organizations that a new user can be put into at once.
const MOST_ORGANIZATIONS: usize = 100;

/// What the first user brings.
#[derive(Debug)]
pub struct NewFirstUser {
    /// The address to sign in with.
    pub email: String,
    /// Their handle.
    pub username: String,
    /// Their real name.
    pub name: String,
    /// Their password.
    pub password: Secret,
}

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
}

/// A user with what they hold.
#[derive(Debug)]
pub struct Profile {
    /// The user.
    pub user: user_account::Model,
    /// Roles and organizations.
    pub subject: Subject,
}

impl Service {
    /// Whether the deployment has its first user.
    ///
    /// # Errors
    /// [`Error::NoFirstUser`] when it hasn't.
    pub async fn first_user_get(&self) -> Result<()> {
        if store::user::any(&self.store).await? { Ok(()) } else { Err(Error::NoFirstUser) }
    }

    /// Creates the first user: active, owner of the site, member of the default organization.
    ///
    /// # Errors
    /// [`Error::FirstUserExists`] when there is one, [`Error::Invalid`] when a rule is broken.
    pub async fn first_user_create(&self, caller: &Caller, new: NewFirstUser) -> Result<(UserId, OrganizationId)> {
        let mut attempt = self.attempt(caller, AuditAction::Register, AuditResource::User);
        let result = self.first_user_create_attempt(caller, new, &mut attempt).await;
        attempt.end(result).await
    }

    async fn first_user_create_attempt(
        &self,
        caller: &Caller,
        new: NewFirstUser,
        attempt: &mut Attempt<'_>,
    ) -> Result<(UserId, OrganizationId)> {
        attempt.named(&new.username);
        tracing::info!(address = ?caller.address, request = %caller.request_id, "the first user is asked for");
        // Asked before the costly hash, because anybody may call this.
        if store::user::any(&self.store).await? {
            return Err(Error::FirstUserExists);
        }
        let mut violations = Violations::default();
        account_rules(&mut violations, &new.email, &new.username, &new.name);
        violations.check("password", password::check(&new.password));
        violations.finish()?;
        let password_hash = self.passwords.hash(new.password).await?;

        let tx = self.store.begin().await?;
        store::user::claim_first(&tx).await?;
        let organization = store::organization::find_default(&tx).await?;
        let organization = organization.ok_or(Error::NotFound(Kind::Organization))?;
        let now = store::now(&tx).await?;
        let user_id = UserId::new();
        let user = user_account::Model {
            id: user_id,
            username: new.username,
            email: email::canonical(&new.email),
            name: new.name,
            avatar_url: String::new(),
            password_hash,
            login_type: LoginType::Password,
            status: UserStatus::Active,
            deleted: false,
            last_seen_at: None,
            created_at: now,
            updated_at: now,
        };
        store::user::insert(&tx, user.clone()).await?;
        let grant = role_grant::Model {
            id: RoleGrantId::new(),
            user_id,
            organization_id: None,
            role: SiteRole::Owner.text().to_owned(),
            source: GrantSource::Manual,
            created_at: now,
        };
        store::member::grant(&tx, grant).await?;
        store::member::insert(&tx, membership(organization.id, user_id, now)).await?;
        attempt.by(user_id).about(user_id.0, &user.username).change(None, Some(&user)).commit(tx).await?;
        Ok((user_id, organization.id))
    }

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
        attempt.named(&new.username);
        let subject = caller.user()?;
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
        attempt.about(user.id.0, &user.username).change(None, Some(&user)).commit(tx).await?;
        let subject = store::session::subject(&self.store, user.id, Scope::All).await?;
        Ok(Profile { user, subject })
    }

    /// A user, by id, username or `me`.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none or the caller may not read it.
    pub async fn user_get(&self, caller: &Caller, user: &str) -> Result<Profile> {
        let user = self.user_readable(caller, user).await?;
        let subject = store::session::subject(&self.store, user.id, Scope::All).await?;
        Ok(Profile { user, subject })
    }

    /// The user that a path names, if the caller may read them.
    pub(crate) async fn user_readable(&self, caller: &Caller, user: &str) -> Result<user_account::Model> {
        let user = self.user_resolve(caller, user).await?;
        let object = Object::site(Resource::User).owned_by(user.id);
        authorize(caller.user()?, Action::Read, &object, Kind::User)?;
        Ok(user)
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

fn account_rules(violations: &mut Violations, address: &str, username: &str, real_name: &str) {
    violations.check("email", email::check(address));
    violations.check("username", name::username(username));
    violations.check("name", name::real(real_name));
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

/// A new membership.
pub(super) fn membership(
    organization_id: OrganizationId,
    user_id: UserId,
    now: Timestamp,
) -> organization_member::Model {
    organization_member::Model {
        organization_id,
        user_id,
        status: MembershipStatus::Active,
        audience: Audience::Operating,
        created_at: now,
        updated_at: now,
    }
}

#[cfg(test)]
mod tests;

//! Accounts: the first one, and what all have in common. What is done to them is in the files beside.

mod create;
mod delete;
mod list;
mod passwords;
mod profile;
mod roles;
mod status;

use std::collections::BTreeSet;

use super::audit::Attempt;
use super::{Caller, Service};
use crate::domain::audit::{AuditAction, AuditResource, Audited, Field, Fields};
use crate::domain::error::Kind;
use crate::domain::id::{OrganizationId, RoleGrantId, UserId};
use crate::domain::member::{Audience, GrantSource, MembershipStatus};
use crate::domain::permission::{Action, Object, Resource, SiteRole, Subject, allowed, may_change_holder_of, reach};
use crate::domain::rule::Violations;
use crate::domain::secret::Secret;
use crate::domain::user::{LoginType, UserStatus};
use crate::domain::{Error, Result, Timestamp, email, name, password};
use crate::store::entity::{organization_member, role_grant, user_account};
use crate::store::user_list::Readable;
use crate::store::{self, Tx};

pub use create::NewUser;
pub use list::UserSearch;
pub use roles::{OfferedRole, UserRoles};

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

/// A user with what is shown of them.
#[derive(Debug, Clone)]
pub struct Profile {
    /// The user.
    pub user: user_account::Model,
    /// Their roles of the site.
    pub roles: BTreeSet<SiteRole>,
    /// Those of their organizations that the caller may read.
    pub organizations: Vec<OrganizationId>,
}

impl Audited for Profile {
    fn fields(&self) -> Fields {
        let Self { user, roles, organizations: _ } = self;
        let mut fields = user.fields();
        let roles = roles.iter().map(|role| role.text()).collect::<Vec<_>>();
        fields.insert("rbac_roles", Field::Shown(roles.into()));
        fields
    }
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
        store::member::grant(&tx, grant_of_site(user_id, SiteRole::Owner, now)).await?;
        store::member::insert(&tx, membership(organization.id, user_id, now)).await?;
        attempt.by(user_id).about(user_id.0, &user.username).change(None, Some(&user)).commit(tx).await?;
        Ok((user_id, organization.id))
    }

    /// A user, by id, username or `me`.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none or the caller may not read it.
    pub async fn user_get(&self, caller: &Caller, user: &str) -> Result<Profile> {
        let user = self.user_readable(caller, user).await?;
        self.profile(caller.user()?, user).await
    }

    /// The user that a path names, if the caller may read them.
    pub(crate) async fn user_readable(&self, caller: &Caller, user: &str) -> Result<user_account::Model> {
        let user = self.user_resolve(caller, user).await?;
        let whom = readable(caller.user()?);
        // What can be told without the database is.
        let is_readable = whom.members_of.is_none()
            || whom.own == Some(user.id)
            || store::user_list::is_readable(&self.store, user.id, &whom).await?;
        if is_readable { Ok(user) } else { Err(Error::NotFound(Kind::User)) }
    }

    /// A user with what the subject may see of them.
    async fn profile(&self, subject: &Subject, user: user_account::Model) -> Result<Profile> {
        let id = user.id;
        let profiles = self.profiles(subject, vec![user]).await?;
        profiles.into_iter().next().ok_or_else(|| Error::internal(format!("user {id} is lost")))
    }

    /// The same for several, in two statements.
    async fn profiles(&self, subject: &Subject, users: Vec<user_account::Model>) -> Result<Vec<Profile>> {
        let ids: Vec<UserId> = users.iter().map(|user| user.id).collect();
        let organizations = reach(subject, Action::Read, Resource::Organization);
        let (mut roles, mut organizations) = (
            store::user::site_roles(&self.store, &ids).await?,
            store::member::organizations(&self.store, &ids, organizations.whole()).await?,
        );
        let profile = |user: user_account::Model| Profile {
            roles: roles.remove(&user.id).unwrap_or_default(),
            organizations: organizations.remove(&user.id).unwrap_or_default(),
            user,
        };
        Ok(users.into_iter().map(profile).collect())
    }
}

/// Whom a subject may read: whoever is a member of an organization where they may, and themselves.
fn readable(subject: &Subject) -> Readable {
    let own = Object::site(Resource::User).owned_by(subject.user_id);
    Readable {
        members_of: reach(subject, Action::Read, Resource::User).whole().cloned(),
        own: allowed(subject, Action::Read, &own).then_some(subject.user_id),
    }
}

/// That a subject may do this to a user whom they may read.
fn check_allowed(subject: &Subject, action: Action, user: UserId) -> Result<()> {
    let object = Object::site(Resource::User).owned_by(user);
    if allowed(subject, action, &object) { Ok(()) } else { Err(Error::Denied) }
}

/// Takes a user for oneself until the transaction ends, as they are now: to change them, where the subject may change
/// somebody with their roles.
async fn taken(tx: &Tx, subject: &Subject, id: UserId) -> Result<Profile> {
    let user = store::user::lock(tx, id).await?;
    let roles = store::user::site_roles(tx, &[id]).await?.remove(&id).unwrap_or_default();
    if id != subject.user_id && !may_change_holder_of(subject, &roles) {
        return Err(Error::Denied);
    }
    Ok(Profile { user, roles, organizations: Vec::new() })
}

/// That the site keeps an active owner without this one, whatever others do at the same time.
async fn check_owner_remains(tx: &Tx, without: UserId) -> Result<()> {
    store::user::lock_owners(tx).await?;
    if store::user::has_other_owner(tx, without).await? { Ok(()) } else { Err(Error::LastOwner) }
}

fn account_rules(violations: &mut Violations, address: &str, username: &str, real_name: &str) {
    violations.check("email", email::check(address));
    violations.check("username", name::username(username));
    violations.check("name", name::real(real_name));
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

/// A new grant of a role of the site.
fn grant_of_site(user_id: UserId, role: SiteRole, now: Timestamp) -> role_grant::Model {
    role_grant::Model {
        id: RoleGrantId::new(),
        user_id,
        organization_id: None,
        role: role.text().to_owned(),
        source: GrantSource::Manual,
        created_at: now,
    }
}

#[cfg(test)]
mod tests;

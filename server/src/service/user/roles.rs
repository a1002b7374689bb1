//! Roles of the site, and who has them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Profile, check_owner_remains, grant_of_site, taken};
use crate::domain::audit::{AuditAction, AuditResource};
use crate::domain::id::OrganizationId;
use crate::domain::permission::role::SITE_MEMBER;
use crate::domain::permission::{
    Action, Object, Resource, Scope, SiteRole, allowed, may_assign_of_site, of_site_role, reach,
};
use crate::domain::rule::Violations;
use crate::domain::user::LoginType;
use crate::domain::{Error, Result};
use crate::service::audit::Attempt;
use crate::service::{Caller, Service};
use crate::store;

/// Said where somebody gives or takes what isn't theirs to give.
pub(super) const NOT_ASSIGNABLE: &str = "must be those that the user has: only owners give roles of the site";

/// A role of the site, as whoever gives roles sees it.
#[derive(Debug)]
pub struct OfferedRole {
    /// The role.
    pub role: SiteRole,
    /// What it lets its holders do.
    pub permissions: Vec<(Resource, Action)>,
    /// Whether the caller may give it and take it away.
    pub is_assignable: bool,
}

/// All that a user has been given.
#[derive(Debug)]
pub struct UserRoles {
    /// Of the site.
    pub site: BTreeSet<SiteRole>,
    /// The names of those of organizations, as far as the caller may read their members.
    pub organizations: BTreeMap<OrganizationId, Vec<String>>,
}

impl Service {
    /// The roles of the site.
    ///
    /// # Errors
    /// [`Error::Denied`] for tokens that may not read them.
    pub fn site_role_list(&self, caller: &Caller) -> Result<Vec<OfferedRole>> {
        let subject = caller.user()?;
        if !allowed(subject, Action::Read, &Object::site(Resource::AssignRole)) {
            return Err(Error::Denied);
        }
        let is_assignable = may_assign_of_site(subject);
        let offered = |role| OfferedRole { role, permissions: of_site_role(role).collect(), is_assignable };
        Ok(SiteRole::ALL.into_iter().map(offered).collect())
    }

    /// The roles of a user.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such user or the caller may not read them.
    pub async fn user_roles(&self, caller: &Caller, user: &str) -> Result<UserRoles> {
        let subject = caller.user()?;
        let user = self.user_readable(caller, user).await?;
        let held = store::session::subject(&self.store, user.id, Scope::All).await?;
        let members = reach(subject, Action::Read, Resource::OrganizationMember);
        let mut organizations = BTreeMap::new();
        for (organization, membership) in held.organizations {
            let is_readable = members.whole().is_none_or(|whole| whole.contains(&organization));
            let built_in = membership.roles.iter().map(|role| role.text().to_owned());
            let names: Vec<String> = built_in.chain(membership.custom_roles).collect();
            if is_readable && !names.is_empty() {
                organizations.insert(organization, names);
            }
        }
        Ok(UserRoles { site: held.site_roles, organizations })
    }

    /// Sets a user's roles of the site, instead of those that they have.
    ///
    /// # Errors
    /// [`Error::NotFound`] or [`Error::Denied`] as the caller's permission has it, [`Error::Invalid`] for the caller, and
    /// for roles that aren't there or that the caller may not give or take, [`Error::LastOwner`].
    pub async fn user_set_roles(&self, caller: &Caller, user: &str, roles: &[String]) -> Result<Profile> {
        let mut attempt = self.attempt(caller, AuditAction::Write, AuditResource::User);
        let result = self.user_set_roles_attempt(caller, user, roles, &mut attempt).await;
        attempt.end(result).await
    }

    async fn user_set_roles_attempt(
        &self,
        caller: &Caller,
        user: &str,
        roles: &[String],
        attempt: &mut Attempt<'_>,
    ) -> Result<Profile> {
        let subject = caller.user()?;
        attempt.named(user);
        let found = self.user_readable(caller, user).await?;
        attempt.about(found.id.0, &found.username);
        let assigns = |action| allowed(subject, action, &Object::site(Resource::AssignRole));
        if !assigns(Action::Assign) || !assigns(Action::Unassign) {
            return Err(Error::Denied);
        }
        let mut violations = Violations::default();
        if found.id == subject.user_id {
            violations.add("roles", "must not be your own");
        }
        let roles = named(&mut violations, roles);
        violations.finish()?;
        let tx = self.store.begin().await?;
        let current = taken(&tx, subject, found.id).await?;
        if roles != current.roles && !may_assign_of_site(subject) {
            return Err(Error::invalid("roles", NOT_ASSIGNABLE));
        }
        if current.roles.contains(&SiteRole::Owner) && !roles.contains(&SiteRole::Owner) {
            check_owner_remains(&tx, found.id).await?;
        }
        let now = store::now(&tx).await?;
        for role in current.roles.difference(&roles) {
            store::member::revoke_of_site(&tx, found.id, role.text()).await?;
        }
        for role in roles.difference(&current.roles) {
            store::member::grant(&tx, grant_of_site(found.id, *role, now)).await?;
        }
        let mut updated = Profile { roles, ..current.clone() };
        updated.user.updated_at = now;
        store::user::update(&tx, updated.user.clone()).await?;
        attempt.change(Some(&current), Some(&updated)).commit(tx).await?;
        self.profile(subject, updated.user).await
    }

    /// How the caller signs in.
    ///
    /// # Errors
    /// [`Error::NotFound`] or [`Error::Denied`] for anybody else.
    pub async fn user_login_type(&self, caller: &Caller, user: &str) -> Result<LoginType> {
        let user = self.user_readable(caller, user).await?;
        if user.id == caller.user()?.user_id { Ok(user.login_type) } else { Err(Error::Denied) }
    }
}

/// The roles of these names. What everybody is anyway needn't be said.
pub(super) fn named(violations: &mut Violations, names: &[String]) -> BTreeSet<SiteRole> {
    let mut roles = BTreeSet::new();
    for name in names.iter().filter(|name| *name != SITE_MEMBER) {
        match SiteRole::named(name) {
            Some(role) => drop(roles.insert(role)),
            None => violations.add("roles", format!("{name:?} is no role of the site")),
        }
    }
    roles
}

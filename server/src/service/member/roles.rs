//! The roles of members.
//!
//! Whoever gives a role of an organization's making holds the organization meanwhile, and whoever changes or deletes one
//! locks it: nobody is given a role that is gone, or one that grants more than the giver has seen.

use std::collections::{BTreeMap, BTreeSet};

use super::MemberView;
use crate::domain::audit::{AuditAction, AuditResource};
use crate::domain::error::Kind;
use crate::domain::id::{OrganizationId, RoleGrantId, UserId};
use crate::domain::member::GrantSource;
use crate::domain::permission::role::{ORGANIZATION_MEMBER, OrganizationRole};
use crate::domain::permission::{Action, Assignable, Object, Resource, Subject, authorize, may_assign, of_stored};
use crate::domain::rule::Violations;
use crate::domain::{Error, Result};
use crate::service::audit::Attempt;
use crate::service::{Caller, Service};
use crate::store::entity::audited::Membership;
use crate::store::entity::{custom_role, organization_member, role_grant};
use crate::store::member_role::Held;
use crate::store::{self, Tx};

/// Roles that one member is given at once.
const MOST: usize = 100;
const FIELD: &str = "roles";

/// A role that a member holds explicitly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberRole {
    /// Its name.
    pub name: String,
    /// Its name for people.
    pub display_name: String,
}

/// What a member holds in an organization: built-in roles in their order, then others by name. What this server doesn't
/// know, as during an upgrade, grants nothing and isn't shown.
pub(super) fn member_roles(held: Vec<Held>) -> Vec<MemberRole> {
    let mut custom = BTreeMap::new();
    let mut names = BTreeSet::new();
    for Held { role, display_name, .. } in held {
        match display_name {
            Some(display_name) => drop(custom.insert(role.to_lowercase(), MemberRole { name: role, display_name })),
            None => drop(names.insert(role)),
        }
    }
    let built_in = OrganizationRole::ALL.into_iter().filter(|role| names.contains(role.text()));
    let built_in = built_in.map(|role| MemberRole { name: role.text().into(), display_name: role.display().into() });
    built_in.chain(custom.into_values()).collect()
}

impl Service {
    /// Gives a member exactly these roles; the membership and what they hold then.
    ///
    /// # Errors
    /// [`Error::NotFound`] or [`Error::Denied`] as the caller's permission has it, [`Error::Oneself`],
    /// [`Error::Invalid`] when a role isn't there or isn't the caller's to give or to take.
    pub async fn member_roles_update(
        &self,
        caller: &Caller,
        organization: &str,
        user: &str,
        roles: &[String],
    ) -> Result<(organization_member::Model, Vec<MemberRole>)> {
        let mut attempt = self.attempt(caller, AuditAction::Write, AuditResource::OrganizationMember);
        let result = self.member_roles_update_attempt(caller, organization, user, roles, &mut attempt).await;
        attempt.end(result).await
    }

    async fn member_roles_update_attempt(
        &self,
        caller: &Caller,
        organization: &str,
        user: &str,
        roles: &[String],
        attempt: &mut Attempt<'_>,
    ) -> Result<(organization_member::Model, Vec<MemberRole>)> {
        let subject = caller.user()?;
        let organization = self.organization_resolve(caller, organization).await?.id;
        attempt.of(organization).named(user);
        let object = Object::of(Resource::AssignOrgRole, organization);
        authorize(subject, Action::Assign, &object, Kind::Member)?;
        authorize(subject, Action::Unassign, &object, Kind::Member)?;
        let MemberView { user, .. } = self.member_find(caller, organization, user).await?;
        attempt.about(user.id.0, &user.username);
        if user.id == subject.user_id {
            return Err(Error::Oneself("change your own roles"));
        }
        if roles.len() > MOST {
            return Err(Error::invalid(FIELD, format!("must be at most {MOST}")));
        }

        let tx = self.store.begin().await?;
        store::organization::hold(&tx, organization).await?;
        store::user::hold(&tx, user.id).await?;
        // Of two changes at once the later one's roles are the member's, and not some of each.
        let member = store::member::lock(&tx, organization, user.id).await?;
        let before = held_here(&tx, organization, user.id).await?;
        let change = change(&tx, subject, organization, &before, roles).await?;
        let now = store::now(&tx).await?;
        for role in &change.taken {
            store::member_role::take(&tx, organization, user.id, role).await?;
        }
        for role in change.given {
            let grant = role_grant::Model {
                id: RoleGrantId::new(),
                user_id: user.id,
                organization_id: Some(organization),
                role,
                source: GrantSource::Manual,
                created_at: now,
            };
            store::member::grant(&tx, grant).await?;
        }
        let member = organization_member::Model { updated_at: now, ..member };
        store::member::update(&tx, member.clone()).await?;
        let after = held_here(&tx, organization, user.id).await?;
        let names = |roles: &[MemberRole]| roles.iter().map(|role| role.name.clone()).collect();
        let (old, new) = (names(&before), names(&after));
        attempt.change(Some(&Membership { user: &user, roles: old }), Some(&Membership { user: &user, roles: new }));
        attempt.commit(tx).await?;
        Ok((member, after))
    }
}

async fn held_here(tx: &Tx, organization: OrganizationId, user: UserId) -> Result<Vec<MemberRole>> {
    let held = store::member_role::list(tx, organization, &[user]).await?;
    Ok(member_roles(held.into_iter().filter(|held| held.organization_id.is_some()).collect()))
}

/// The names of roles that a member gets and loses.
struct Change {
    given: BTreeSet<String>,
    taken: BTreeSet<String>,
}

/// What has to change, if the subject may give and take all of it; what stays is nobody's question.
async fn change(
    tx: &Tx,
    subject: &Subject,
    organization: OrganizationId,
    before: &[MemberRole],
    wanted: &[String],
) -> Result<Change> {
    let before: BTreeSet<String> = before.iter().map(|role| role.name.clone()).collect();
    let both: BTreeSet<&str> = wanted.iter().chain(&before).map(String::as_str).collect();
    let custom = store::custom_role::named(tx, organization, &both.into_iter().collect::<Vec<_>>()).await?;
    let custom = |name: &str| custom.iter().find(|role| role.name.eq_ignore_ascii_case(name));
    let mut violations = Violations::default();
    let mut after = BTreeSet::new();
    for name in wanted {
        if let Some(role) = OrganizationRole::named(name) {
            after.insert(role.text().to_owned());
        } else if let Some(role) = custom(name) {
            after.insert(role.name.clone());
        } else if name == ORGANIZATION_MEMBER {
            violations.add(FIELD, format!("must not list {name}, which every member is"));
        } else {
            violations.add(FIELD, format!("{name:?} isn't a role of this organization"));
        }
    }
    for name in before.symmetric_difference(&after) {
        if !may_change(subject, organization, name, custom(name)) {
            violations.add(FIELD, format!("{name:?} isn't yours to give or to take"));
        }
    }
    violations.finish()?;
    let (given, taken) = (after.difference(&before).cloned().collect(), before.difference(&after).cloned().collect());
    Ok(Change { given, taken })
}

/// That a subject may take all of these from a member, as who ends a membership does.
pub(super) async fn check_takes(
    tx: &Tx,
    subject: &Subject,
    organization: OrganizationId,
    roles: &[String],
) -> Result<()> {
    let names: Vec<&str> = roles.iter().map(String::as_str).collect();
    let custom = store::custom_role::named(tx, organization, &names).await?;
    let custom = |name: &str| custom.iter().find(|role| role.name == name);
    let may_take = |name: &&str| may_change(subject, organization, name, custom(name));
    if names.iter().all(may_take) { Ok(()) } else { Err(Error::Denied) }
}

fn may_change(
    subject: &Subject,
    organization: OrganizationId,
    name: &str,
    custom: Option<&custom_role::Model>,
) -> bool {
    match (OrganizationRole::named(name), custom) {
        (Some(role), _) => may_assign(subject, organization, Assignable::BuiltIn(role)),
        (None, Some(role)) => {
            let permissions = of_stored(&role.permissions).collect();
            may_assign(subject, organization, Assignable::Custom(&permissions))
        }
        (None, None) => false,
    }
}

//! Users.

use orgplane_proto::identity::v1 as pb;

use super::timestamp;
use crate::domain::Result;
use crate::domain::id::OrganizationId;
use crate::domain::permission::{Action, Resource, SiteRole};
use crate::domain::rule::Violations;
use crate::domain::secret::Secret;
use crate::domain::user::{LoginType, UserStatus};
use crate::service::user::{NewFirstUser, NewUser, OfferedRole, Profile, UserRoles, UserSearch};
use crate::store::entity::user_account;

/// A user as the API has it.
pub(crate) fn user(profile: Profile) -> pb::User {
    let Profile { user, roles, organizations } = profile;
    let user_account::Model {
        id,
        username,
        email,
        name,
        avatar_url,
        password_hash: _,
        login_type,
        status,
        deleted: _,
        last_seen_at,
        created_at,
        updated_at,
    } = user;
    pb::User {
        id: id.to_string(),
        username,
        name,
        avatar_url,
        email,
        created_at: Some(timestamp(created_at)),
        updated_at: Some(timestamp(updated_at)),
        last_seen_at: last_seen_at.map(timestamp),
        status: user_status(status).into(),
        login_type: from_login_type(login_type).into(),
        organization_ids: organizations.iter().map(ToString::to_string).collect(),
        roles: roles.into_iter().map(site_role).collect(),
        has_ai_seat: false,
    }
}

pub(crate) fn site_role(role: SiteRole) -> pb::SlimRole {
    pb::SlimRole { name: role.text().into(), display_name: role.display().into(), organization_id: String::new() }
}

pub(crate) fn user_status(status: UserStatus) -> pb::UserStatus {
    match status {
        UserStatus::Active => pb::UserStatus::Active,
        UserStatus::Dormant => pb::UserStatus::Dormant,
        UserStatus::Suspended => pb::UserStatus::Suspended,
    }
}

/// A way to sign in as the API has it.
pub(crate) fn from_login_type(login_type: LoginType) -> pb::LoginType {
    match login_type {
        LoginType::Password => pb::LoginType::Password,
        LoginType::Token => pb::LoginType::Token,
        LoginType::None => pb::LoginType::None,
    }
}

/// What the first user brings.
pub(crate) fn new_first_user(message: pb::CreateFirstUserRequest) -> NewFirstUser {
    let pb::CreateFirstUserRequest { email, username, name, password } = message;
    NewFirstUser { email, username, name, password: password.into() }
}

/// What a user is created from.
pub(crate) fn new_user(message: pb::CreateUserRequest) -> Result<NewUser> {
    let pb::CreateUserRequest {
        email,
        username,
        name,
        password,
        login_type,
        user_status,
        mut organization_ids,
        organization_id,
        roles,
        service_account,
    } = message;
    let password = Secret::from(password);
    let mut violations = Violations::default();
    let login_type = match pb::LoginType::try_from(login_type) {
        Ok(pb::LoginType::Unspecified | pb::LoginType::Password) => LoginType::Password,
        Ok(pb::LoginType::None) => LoginType::None,
        Ok(pb::LoginType::Github | pb::LoginType::Oidc | pb::LoginType::Token) | Err(_) => {
            violations.add("login_type", "must be `password` or `none`; this server has no other way to sign in");
            LoginType::None
        }
    };
    let status = match pb::UserStatus::try_from(user_status) {
        Ok(pb::UserStatus::Unspecified | pb::UserStatus::Dormant) => UserStatus::Dormant,
        Ok(pb::UserStatus::Active) => UserStatus::Active,
        Ok(pb::UserStatus::Suspended) => UserStatus::Suspended,
        Err(_) => {
            violations.add("user_status", "must be `active`, `dormant` or `suspended`");
            UserStatus::Dormant
        }
    };
    if service_account {
        violations.add("service_account", "must not be set: this server has none yet; `login_type` may be `none`");
    }
    violations.finish()?;
    organization_ids.extend(Some(organization_id).filter(|id| !id.is_empty()));
    Ok(NewUser { email, username, name, password, login_type, status, organization_ids, roles })
}

/// What is searched for.
pub(crate) fn search(message: pb::ListUsersRequest) -> UserSearch {
    let pb::ListUsersRequest { q, after_id, limit, offset } = message;
    UserSearch { q, after_id, limit, offset }
}

/// A role of the site as those see it who give roles. Clients know no action `interrupt`.
pub(crate) fn offered_role(offered: OfferedRole) -> pb::SiteRole {
    let OfferedRole { role, permissions, is_assignable } = offered;
    let known = permissions.into_iter().filter(|(_, action)| *action != Action::Interrupt);
    let permission = |(resource, action): (Resource, Action)| pb::SitePermission {
        negate: false,
        resource_type: resource.text().into(),
        action: action.text().into(),
    };
    pb::SiteRole {
        name: role.text().into(),
        display_name: role.display().into(),
        site_permissions: known.map(permission).collect(),
        user_permissions: Vec::new(),
        organization_permissions: Vec::new(),
        organization_member_permissions: Vec::new(),
        assignable: is_assignable,
        built_in: true,
    }
}

/// All that a user has been given.
pub(crate) fn user_roles(roles: UserRoles) -> pb::GetUserRolesResponse {
    let UserRoles { site, organizations } = roles;
    let of_organization = |(id, names): (OrganizationId, Vec<String>)| (id.to_string(), pb::RoleNames { names });
    pb::GetUserRolesResponse {
        roles: site.into_iter().map(|role| role.text().to_owned()).collect(),
        organization_roles: organizations.into_iter().map(of_organization).collect(),
    }
}

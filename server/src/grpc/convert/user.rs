//! Users.

use orgplane_proto::identity::v1 as pb;

use super::timestamp;
use crate::domain::Result;
use crate::domain::permission::SiteRole;
use crate::domain::rule::Violations;
use crate::domain::secret::Secret;
use crate::domain::user::{LoginType, UserStatus};
use crate::service::user::{NewFirstUser, NewUser, Profile};
use crate::store::entity::user_account;

/// A user as the API has it.
pub(crate) fn user(profile: Profile) -> pb::User {
    let Profile { user, subject } = profile;
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
        organization_ids: subject.organizations.keys().map(ToString::to_string).collect(),
        roles: subject.site_roles.iter().copied().map(site_role).collect(),
        has_ai_seat: false,
    }
}

fn site_role(role: SiteRole) -> pb::SlimRole {
    pb::SlimRole { name: role.text().into(), display_name: role.display().into(), organization_id: String::new() }
}

fn user_status(status: UserStatus) -> pb::UserStatus {
    match status {
        UserStatus::Active => pb::UserStatus::Active,
        UserStatus::Dormant => pb::UserStatus::Dormant,
        UserStatus::Suspended => pb::UserStatus::Suspended,
    }
}

/// How somebody signs in, as the API has it.
pub(super) fn from_login_type(login_type: LoginType) -> pb::LoginType {
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
    violations.finish()?;
    organization_ids.extend(Some(organization_id).filter(|id| !id.is_empty()));
    Ok(NewUser { email, username, name, password, login_type, status, organization_ids })
}

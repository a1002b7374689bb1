//! What the audit log tells of rows. Each row is taken apart field by field, so that a new column is a decision.

use serde_json::json;

use super::{custom_role, organization, user_account};
use crate::domain::audit::{Audited, Field, Fields};

fn shown<const N: usize>(fields: [(&'static str, serde_json::Value); N]) -> Fields {
    fields.into_iter().map(|(name, value)| (name, Field::Shown(value))).collect()
}

impl Audited for organization::Model {
    fn fields(&self) -> Fields {
        let Self { id: _, name, display_name, description, icon, is_default, deleted, created_at: _, updated_at: _ } =
            self;
        shown([
            ("name", json!(name)),
            ("display_name", json!(display_name)),
            ("description", json!(description)),
            ("icon", json!(icon)),
            ("is_default", json!(is_default)),
            ("deleted", json!(deleted)),
        ])
    }
}

/// A membership with what hangs on it.
#[derive(Debug)]
pub struct Membership<'a> {
    /// Whose it is.
    pub user: &'a user_account::Model,
    /// Their explicit roles, by name.
    pub roles: Vec<String>,
}

impl Audited for Membership<'_> {
    fn fields(&self) -> Fields {
        let Self { user, roles } = self;
        shown([("username", json!(user.username)), ("user_id", json!(user.id.0)), ("roles", json!(roles))])
    }
}

impl Audited for custom_role::Model {
    fn fields(&self) -> Fields {
        let Self { id: _, organization_id: _, name, display_name, permissions, created_at: _, updated_at: _ } = self;
        let permissions: Vec<&str> = permissions.split(' ').filter(|one| !one.is_empty()).collect();
        shown([("name", json!(name)), ("display_name", json!(display_name)), ("org_permissions", json!(permissions))])
    }
}

impl Audited for user_account::Model {
    fn fields(&self) -> Fields {
        let Self {
            id,
            username,
            email,
            name,
            avatar_url,
            password_hash,
            login_type,
            status,
            deleted,
            last_seen_at: _,
            created_at: _,
            updated_at: _,
        } = self;
        let mut fields = shown([
            ("id", json!(id.0)),
            ("username", json!(username)),
            ("email", json!(email)),
            ("name", json!(name)),
            ("avatar_url", json!(avatar_url)),
            ("login_type", json!(login_type.text())),
            ("status", json!(status.text())),
            ("deleted", json!(deleted)),
        ]);
        fields.insert("hashed_password", Field::Secret(password_hash.as_bytes().to_vec()));
        fields
    }
}

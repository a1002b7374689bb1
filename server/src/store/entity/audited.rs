//! What the audit log tells of rows. Each row is taken apart field by field, so that a new column is a decision.

use serde_json::json;

use super::{
    api_key, custom_role, dry_run, file, organization, organization_member, provisioner_key, template,
    template_version, user_account, workspace, workspace_build,
};
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

impl Audited for api_key::Model {
    fn fields(&self) -> Fields {
        let Self {
            id,
            secret_sha256,
            user_id,
            login_type,
            token_name,
            scope,
            lifetime_seconds,
            ip_address,
            last_used_at: _,
            expires_at,
            created_at: _,
            updated_at: _,
        } = self;
        let mut fields = shown([
            ("id", json!(id)),
            ("user_id", json!(user_id.0)),
            ("login_type", json!(login_type.text())),
            ("token_name", json!(token_name)),
            ("scope", json!(scope)),
            ("lifetime_seconds", json!(lifetime_seconds)),
            ("ip_address", json!(ip_address)),
            ("expires_at", json!(expires_at.to_string())),
        ]);
        fields.insert("hashed_secret", Field::Secret(secret_sha256.clone()));
        fields
    }
}

impl Audited for organization_member::Model {
    fn fields(&self) -> Fields {
        // Nobody sets these two yet.
        let Self { organization_id, user_id, status: _, audience: _, created_at: _, updated_at: _ } = self;
        shown([("organization_id", json!(organization_id.0)), ("user_id", json!(user_id.0))])
    }
}

impl Audited for provisioner_key::Model {
    fn fields(&self) -> Fields {
        let Self { id: _, organization_id: _, name, tags, description, last_used_at: _, created_at: _ } = self;
        shown([("name", json!(name)), ("tags", json!(tags.0)), ("description", json!(description))])
    }
}

impl Audited for file::Model {
    fn fields(&self) -> Fields {
        let Self { id: _, sha256, content_type, created_by: _, created_at: _ } = self;
        shown([("sha256", json!(sha256)), ("content_type", json!(content_type))])
    }
}

impl Audited for template::Model {
    fn fields(&self) -> Fields {
        let Self {
            id,
            organization_id: _,
            name,
            display_name,
            description,
            icon,
            engine,
            active_version_id,
            allow_user_cancel_workspace_jobs,
            created_by,
            deleted,
            created_at: _,
            updated_at: _,
        } = self;
        shown([
            ("id", json!(id.0)),
            ("name", json!(name)),
            ("display_name", json!(display_name)),
            ("description", json!(description)),
            ("icon", json!(icon)),
            ("provisioner", json!(engine.text())),
            ("active_version_id", json!(active_version_id.0)),
            ("allow_user_cancel_workspace_jobs", json!(allow_user_cancel_workspace_jobs)),
            ("created_by", json!(created_by.0)),
            ("deleted", json!(deleted)),
        ])
    }
}

impl Audited for template_version::Model {
    fn fields(&self) -> Fields {
        // The long texts are in the version; the values of variables may be secrets.
        let Self {
            id,
            organization_id: _,
            template_id,
            job_id,
            name,
            message: _,
            readme: _,
            user_variable_values,
            lock_file: _,
            archived,
            created_by,
            created_at: _,
            updated_at: _,
        } = self;
        let mut fields = shown([
            ("id", json!(id.0)),
            ("template_id", json!(template_id.map(|id| id.0))),
            ("job_id", json!(job_id.0)),
            ("name", json!(name)),
            ("archived", json!(archived)),
            ("created_by", json!(created_by.0)),
        ]);
        fields.insert("user_variable_values", Field::Secret(user_variable_values.clone()));
        fields
    }
}

impl Audited for dry_run::Model {
    fn fields(&self) -> Fields {
        let Self { job_id, workspace_name, user_variable_values } = self;
        let mut fields = shown([("job_id", json!(job_id.0)), ("workspace_name", json!(workspace_name))]);
        fields.insert("user_variable_values", Field::Secret(user_variable_values.clone()));
        fields
    }
}

impl Audited for workspace::Model {
    fn fields(&self) -> Fields {
        let Self {
            id,
            organization_id: _,
            owner_id,
            template_id,
            name,
            deleted,
            last_used_at: _,
            created_at: _,
            updated_at: _,
        } = self;
        shown([
            ("id", json!(id.0)),
            ("owner_id", json!(owner_id.0)),
            ("template_id", json!(template_id.0)),
            ("name", json!(name)),
            ("deleted", json!(deleted)),
        ])
    }
}

impl Audited for workspace_build::Model {
    fn fields(&self) -> Fields {
        // The state may be full of secrets; what of it is stored here are their hashes.
        let Self {
            id,
            workspace_id,
            build_number,
            template_version_id,
            job_id,
            initiator_id,
            transition: _,
            reason,
            state_sha256: _,
            state_lineage: _,
            state_serial: _,
            salvaged_sha256: _,
            salvaged_serial: _,
            daily_cost,
            created_at: _,
            updated_at: _,
        } = self;
        shown([
            ("id", json!(id.0)),
            ("workspace_id", json!(workspace_id.0)),
            ("build_number", json!(build_number)),
            ("template_version_id", json!(template_version_id.0)),
            ("job_id", json!(job_id.0)),
            ("initiator_id", json!(initiator_id.0)),
            ("reason", json!(reason.text())),
            ("daily_cost", json!(daily_cost)),
        ])
    }
}

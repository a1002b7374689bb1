//! What the audit log tells of a change: what was done, to what, and which fields it changed. Never a secret.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::words::words;

words! {
    /// What was done.
    AuditAction {
        Create = "create",
        Write = "write",
        Delete = "delete",
        Start = "start",
        Stop = "stop",
        Login = "login",
        Logout = "logout",
        Register = "register",
    }
}

words! {
    /// To what kind of thing it was done. The last four are words of ours.
    AuditResource {
        Organization = "organization",
        OrganizationMember = "organization_member",
        CustomRole = "custom_role",
        User = "user",
        ApiKey = "api_key",
        Template = "template",
        TemplateVersion = "template_version",
        Workspace = "workspace",
        WorkspaceBuild = "workspace_build",
        ProvisionerKey = "provisioner_key",
        ProvisionerJob = "provisioner_job",
        File = "file",
        DryRun = "dry_run",
    }
}

impl AuditAction {
    /// As a sentence tells that it was done.
    #[must_use]
    fn past(self) -> &'static str {
        match self {
            Self::Create => "created",
            Self::Write => "updated",
            Self::Delete => "deleted",
            Self::Start => "started",
            Self::Stop => "stopped",
            Self::Login => "logged in",
            Self::Logout => "logged out",
            Self::Register => "registered",
        }
    }
}

impl AuditResource {
    /// For people.
    fn words(self) -> String {
        self.text().replace('_', " ")
    }
}

/// What was done, as a sentence with places for who did it and to what.
#[must_use]
pub fn description(action: AuditAction, resource: AuditResource, failed: bool) -> String {
    let verb = if failed { format!("unsuccessfully attempted to {}", action.text()) } else { action.past().to_owned() };
    match action {
        AuditAction::Login | AuditAction::Logout | AuditAction::Register => format!("{{user}} {verb}"),
        _ => format!("{{user}} {verb} {} {{target}}", resource.words()),
    }
}

/// The HTTP status of the operation that does this.
#[must_use]
pub fn success_status(action: AuditAction, resource: AuditResource) -> u16 {
    match (action, resource) {
        (AuditAction::Create, AuditResource::OrganizationMember | AuditResource::CustomRole) => 200,
        (AuditAction::Create | AuditAction::Login | AuditAction::Register, _) | (_, AuditResource::WorkspaceBuild)
            if action != AuditAction::Write =>
        {
            201
        }
        (
            AuditAction::Delete,
            AuditResource::ProvisionerKey | AuditResource::OrganizationMember | AuditResource::CustomRole,
        )
        | (AuditAction::Delete | AuditAction::Write, AuditResource::ApiKey)
        | (AuditAction::Write, AuditResource::ProvisionerJob) => 204,
        _ => 200,
    }
}

/// Where people see it; empty for what has no place of its own.
#[must_use]
pub fn link(resource: AuditResource, target: &str, additional: &Value) -> String {
    let text = |name: &str| additional[name].as_str().unwrap_or_default();
    let (owner, workspace) = (text("workspace_owner"), text("workspace_name"));
    match resource {
        AuditResource::Template => format!("/templates/{target}"),
        AuditResource::User => format!("/users?filter={target}"),
        AuditResource::Workspace if !owner.is_empty() => format!("/@{owner}/{target}"),
        AuditResource::WorkspaceBuild if !owner.is_empty() => {
            format!("/@{owner}/{workspace}/builds/{}", text("build_number"))
        }
        _ => String::new(),
    }
}

/// What a field is, or that it is a secret of which only a change may be told.
#[derive(Debug, Clone, PartialEq)]
pub enum Field {
    /// For all to see.
    Shown(Value),
    /// Compared and not told; hashes and sealed bytes do.
    Secret(Vec<u8>),
}

/// The fields of a thing that the log tracks.
pub type Fields = BTreeMap<&'static str, Field>;

/// What can be in the log.
pub trait Audited {
    /// Its fields as they are. None may hold a secret but as [`Field::Secret`].
    fn fields(&self) -> Fields;
}

/// How a field changed, as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// What it was; null for a secret.
    pub old: Value,
    /// What it is; null for a secret.
    pub new: Value,
    /// Whether the field is a secret.
    pub secret: bool,
}

/// Characters of a text that are told; what is longer is cut, so that answers hold many entries.
const LONGEST: usize = 256;

/// The fields that differ. What isn't there before or after counts as empty.
#[must_use]
pub fn difference(before: &Fields, after: &Fields) -> BTreeMap<&'static str, Difference> {
    let names = before.keys().chain(after.keys());
    names.filter_map(|name| changed(before.get(name), after.get(name)).map(|how| (*name, how))).collect()
}

fn changed(before: Option<&Field>, after: Option<&Field>) -> Option<Difference> {
    if before == after || (is_zero(before) && is_zero(after)) {
        return None;
    }
    let secret = [before, after].into_iter().flatten().any(|field| matches!(field, Field::Secret(_)));
    let shown = |field: Option<&Field>| match field {
        Some(Field::Shown(Value::String(text))) if !secret && text.chars().count() > LONGEST => {
            Value::String(text.chars().take(LONGEST).chain(['…']).collect())
        }
        Some(Field::Shown(value)) if !secret => value.clone(),
        _ => Value::Null,
    };
    Some(Difference { old: shown(before), new: shown(after), secret })
}

/// Nothing was there, and nothing is: no change.
fn is_zero(field: Option<&Field>) -> bool {
    match field {
        None => true,
        Some(Field::Secret(bytes)) => bytes.is_empty(),
        Some(Field::Shown(value)) => match value {
            Value::Null | Value::Bool(false) => true,
            Value::Bool(true) => false,
            Value::Number(number) => number.as_f64() == Some(0.0),
            Value::String(text) => text.is_empty(),
            Value::Array(all) => all.is_empty(),
            Value::Object(all) => all.is_empty(),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(all: &[(&'static str, Field)]) -> Fields {
        all.iter().cloned().collect()
    }

    #[test]
    fn long_texts_are_cut_and_still_differ() {
        let of = |text: String| fields(&[("description", Field::Shown(json!(text)))]);
        let found = difference(&of("é".repeat(300)), &of("é".repeat(301)));
        let cut = json!(format!("{}…", "é".repeat(LONGEST)));
        assert_eq!(found["description"], Difference { old: cut.clone(), new: cut, secret: false });
    }

    #[test]
    fn what_differs_is_told_and_secrets_are_not() {
        let shown = |value: Value| Field::Shown(value);
        let before = fields(&[
            ("name", shown(json!("a"))),
            ("kept", shown(json!(1))),
            ("password", Field::Secret(b"one".to_vec())),
            ("none", shown(json!(""))),
        ]);
        let after = fields(&[
            ("name", shown(json!("b"))),
            ("kept", shown(json!(1))),
            ("password", Field::Secret(b"two".to_vec())),
            ("list", shown(json!([]))),
            ("flag", shown(json!(true))),
        ]);
        let found = difference(&before, &after);
        assert_eq!(found.keys().copied().collect::<Vec<_>>(), ["flag", "name", "password"]);
        assert_eq!(found["name"], Difference { old: json!("a"), new: json!("b"), secret: false });
        assert_eq!(found["password"], Difference { old: Value::Null, new: Value::Null, secret: true });
        assert_eq!(found["flag"], Difference { old: Value::Null, new: json!(true), secret: false });
    }
}

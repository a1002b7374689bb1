//! The audit log.

use std::collections::{BTreeMap, BTreeSet};

use orgplane_proto::audit::v1 as pb;
use serde_json::Value;

use super::timestamp;
use super::user::user;
use crate::domain::audit::{self, AuditAction, AuditResource, Difference};
use crate::domain::error::Reason;
use crate::grpc::status;
use crate::service::audit_log::AuditView;
use crate::service::user::Profile;
use crate::store::entity::{audit_log, user_account};

/// An entry as the API has it. What another version of this server wrote is shown as far as this one knows it.
pub(crate) fn audit_log(view: AuditView) -> pb::AuditLog {
    let AuditView { entry, is_deleted, organization, user } = view;
    let audit_log::Model {
        id,
        time,
        request_id,
        user_id: _,
        organization_id,
        ip,
        user_agent,
        action,
        resource_type,
        resource_id,
        resource_target,
        resource_icon,
        outcome,
        diff,
        additional_fields,
    } = entry;
    let additional: Value = serde_json::from_str(&additional_fields).unwrap_or_default();
    let known = AuditAction::named(&action).zip(AuditResource::named(&resource_type));
    let failed = !outcome.is_empty();
    let link = known.map(|(_, resource)| audit::link(resource, &resource_target, &additional));
    let text = |id: Option<uuid::Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
    pb::AuditLog {
        id: id.to_string(),
        request_id: request_id.to_string(),
        time: Some(timestamp(time)),
        ip,
        user_agent,
        resource_id: text(resource_id),
        resource_link: link.filter(|_| !is_deleted && resource_id.is_some()).unwrap_or_default(),
        description: known.map(|(action, resource)| audit::description(action, resource, failed)).unwrap_or_default(),
        status_code: status_code(known, &outcome),
        resource_type,
        resource_target,
        resource_icon,
        action,
        diff: differences(&diff),
        additional_fields,
        is_deleted,
        organization_id: text(organization_id.map(|id| id.0)),
        organization: organization_id.zip(organization).map(|(id, [name, display_name, icon])| {
            pb::AuditedOrganization { id: id.to_string(), name, display_name, icon }
        }),
        user: user.map(actor),
    }
}

fn status_code(known: Option<(AuditAction, AuditResource)>, outcome: &str) -> i32 {
    let code = match (outcome, known) {
        ("", Some((action, resource))) => audit::success_status(action, resource).into(),
        ("", None) => 200,
        (outcome, _) => Reason::named(outcome).map_or(500, |reason| status::reason(reason).http_status()),
    };
    i32::try_from(code).unwrap_or(500)
}

fn differences(diff: &str) -> BTreeMap<String, pb::AuditDiffField> {
    let diff: BTreeMap<String, Difference> = serde_json::from_str(diff).unwrap_or_default();
    let text = |value: &Value| if value.is_null() { String::new() } else { value.to_string() };
    let field = |(name, Difference { old, new, secret }): (String, Difference)| {
        (name, pb::AuditDiffField { old: text(&old), new: text(&new), secret })
    };
    diff.into_iter().map(field).collect()
}

/// Whoever reads the entry needn't know where else they are.
fn actor(row: user_account::Model) -> orgplane_proto::identity::v1::User {
    user(Profile { user: row, roles: BTreeSet::new(), organizations: Vec::new() })
}

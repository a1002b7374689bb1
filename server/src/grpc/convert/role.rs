//! Roles of organizations.

use orgplane_proto::organization::v1 as pb;

use crate::domain::id::OrganizationId;
use crate::domain::permission::{Action, Resource, Wanted, of_stored};
use crate::service::custom_role::{RoleDraft, RoleView};
use crate::store::entity::custom_role;

/// A role of an organization's making as the API has it.
pub(crate) fn role(row: custom_role::Model) -> pb::Role {
    let custom_role::Model { id: _, organization_id, name, display_name, permissions, created_at: _, updated_at: _ } =
        row;
    pb::Role {
        name,
        organization_id: organization_id.to_string(),
        display_name,
        site_permissions: Vec::new(),
        user_permissions: Vec::new(),
        organization_permissions: of_stored(&permissions).map(|pair| permission(pair, false)).collect(),
        organization_member_permissions: Vec::new(),
    }
}

/// A role that a member can hold as the API has it.
pub(crate) fn assignable(organization: OrganizationId, role: RoleView) -> pb::AssignableRole {
    let RoleView { name, display_name, grants, bans, assignable, built_in } = role;
    let grants = grants.into_iter().map(|pair| permission(pair, false));
    pb::AssignableRole {
        name,
        organization_id: organization.to_string(),
        display_name,
        site_permissions: Vec::new(),
        user_permissions: Vec::new(),
        organization_permissions: grants.chain(bans.into_iter().map(|pair| permission(pair, true))).collect(),
        organization_member_permissions: Vec::new(),
        assignable,
        built_in,
    }
}

fn permission((resource, action): (Resource, Action), negate: bool) -> pb::Permission {
    pb::Permission { negate, resource_type: resource.text().to_owned(), action: action.text().to_owned() }
}

/// In which organization a role is made or changed, and to what.
pub(crate) fn draft(message: pb::CustomRoleRequest) -> (String, RoleDraft) {
    let pb::CustomRoleRequest {
        organization,
        name,
        display_name,
        organization_permissions,
        site_permissions,
        user_permissions,
        organization_member_permissions,
    } = message;
    let others = [
        ("site_permissions", site_permissions),
        ("user_permissions", user_permissions),
        ("organization_member_permissions", organization_member_permissions),
    ];
    let elsewhere = others.into_iter().filter(|(_, permissions)| !permissions.is_empty()).map(|(field, _)| field);
    let permissions = organization_permissions
        .into_iter()
        .map(|pb::Permission { negate, resource_type, action }| Wanted { negate, resource: resource_type, action });
    let draft = RoleDraft { name, display_name, permissions: permissions.collect(), elsewhere: elsewhere.collect() };
    (organization, draft)
}

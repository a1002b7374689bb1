//! Members of organizations.

use orgplane_proto::identity::v1::SlimRole;
use orgplane_proto::organization::v1 as pb;

use super::timestamp;
use super::user::{from_login_type, site_role, user_status};
use crate::domain::id::OrganizationId;
use crate::service::member::roles::MemberRole;
use crate::service::member::{MemberSearch, MemberView};
use crate::store::entity::{organization_member, user_account};

/// A membership as the API has it.
pub(crate) fn member(row: &organization_member::Model, roles: Vec<MemberRole>) -> pb::OrganizationMember {
    let organization_member::Model { organization_id, user_id, status: _, audience: _, created_at, updated_at } = row;
    pb::OrganizationMember {
        user_id: user_id.to_string(),
        organization_id: organization_id.to_string(),
        created_at: Some(timestamp(*created_at)),
        updated_at: Some(timestamp(*updated_at)),
        roles: slim(*organization_id, roles),
    }
}

/// A member, and who that is, as the API has it.
pub(crate) fn with_user(view: MemberView) -> pb::OrganizationMemberWithUserData {
    let MemberView { member, user, roles, site_roles } = view;
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
    pb::OrganizationMemberWithUserData {
        user_id: id.to_string(),
        organization_id: member.organization_id.to_string(),
        created_at: Some(timestamp(member.created_at)),
        updated_at: Some(timestamp(member.updated_at)),
        roles: slim(member.organization_id, roles),
        username,
        name,
        avatar_url,
        email,
        status: user_status(status).into(),
        login_type: from_login_type(login_type).into(),
        last_seen_at: last_seen_at.map(timestamp),
        user_created_at: Some(timestamp(created_at)),
        user_updated_at: Some(timestamp(updated_at)),
        global_roles: site_roles.into_iter().map(site_role).collect(),
        has_ai_seat: false,
    }
}

fn slim(organization: OrganizationId, roles: Vec<MemberRole>) -> Vec<SlimRole> {
    let role =
        |MemberRole { name, display_name }| SlimRole { name, display_name, organization_id: organization.to_string() };
    roles.into_iter().map(role).collect()
}

/// In which organization a search is made, and of what.
pub(crate) fn search(message: pb::SearchMembersRequest) -> (String, MemberSearch) {
    let pb::SearchMembersRequest { organization, q, limit, offset, after_id } = message;
    (organization, MemberSearch { q, limit, offset, after_id })
}

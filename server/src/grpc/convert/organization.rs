//! Organizations.

use orgplane_proto::organization::v1 as pb;

use super::timestamp;
use crate::service::organization::{NewOrganization, OrganizationChange};
use crate::store::entity::organization as organization_row;

/// An organization as the API has it.
pub(crate) fn organization(row: organization_row::Model) -> pb::Organization {
    let organization_row::Model {
        id,
        name,
        display_name,
        description,
        icon,
        is_default,
        deleted: _,
        created_at,
        updated_at,
    } = row;
    pb::Organization {
        id: id.to_string(),
        name,
        display_name,
        icon,
        description,
        created_at: Some(timestamp(created_at)),
        updated_at: Some(timestamp(updated_at)),
        is_default,
        // New members get no role beside their membership.
        default_org_member_roles: Vec::new(),
    }
}

/// Organizations as the API has them.
pub(crate) fn organizations(rows: Vec<organization_row::Model>) -> pb::ListOrganizationsResponse {
    pb::ListOrganizationsResponse { organizations: rows.into_iter().map(organization).collect() }
}

/// What an organization is created from.
pub(crate) fn new_organization(message: pb::CreateOrganizationRequest) -> NewOrganization {
    let pb::CreateOrganizationRequest { name, display_name, description, icon } = message;
    NewOrganization { name, display_name, description, icon }
}

/// Which organization is changed, and how.
pub(crate) fn organization_change(message: pb::UpdateOrganizationRequest) -> (String, OrganizationChange) {
    let pb::UpdateOrganizationRequest { organization, name, display_name, description, icon } = message;
    (organization, OrganizationChange { name, display_name, description, icon })
}

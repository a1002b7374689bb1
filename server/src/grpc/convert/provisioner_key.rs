//! Provisioner keys.

use orgplane_proto::provisioner::v1 as pb;

use super::timestamp;
use crate::store::entity::provisioner_key as row;

/// A key, without its secret, as the API has it.
pub(crate) fn provisioner_key(row: row::Model) -> pb::ProvisionerKey {
    let row::Model { id, organization_id, name, tags, description: _, last_used_at: _, created_at } = row;
    pb::ProvisionerKey {
        id: id.to_string(),
        created_at: Some(timestamp(created_at)),
        organization: organization_id.to_string(),
        name,
        tags: tags.0,
    }
}

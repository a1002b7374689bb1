//! `provisioner_key_secret`: a key has one, and two while it is rotated.

use sea_orm::entity::prelude::*;

use crate::domain::Timestamp;
use crate::domain::id::{ProvisionerKeyId, ProvisionerKeySecretId};

/// A secret, of which only the hash is known.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "provisioner_key_secret")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ProvisionerKeySecretId,
    /// Of which key.
    pub key_id: ProvisionerKeyId,
    /// SHA-256 of the whole token.
    pub secret_sha256: Vec<u8>,
    /// Its end, if it has one.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProvisionerKeySecret")
            .field("id", &self.id)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

/// None.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

//! `provisioner_daemon`: the daemons that connected, over all their sessions.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use sea_orm::DeriveValueType;
use sea_orm::entity::prelude::*;

use crate::domain::Timestamp;
use crate::domain::engine::Engine;
use crate::domain::id::{DaemonId, OrganizationId, ProvisionerKeyId};
use crate::domain::tags::Tags;

/// A daemon.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "provisioner_daemon")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: DaemonId,
    /// Its key's organization.
    pub organization_id: OrganizationId,
    /// The key that it last connected with.
    pub key_id: ProvisionerKeyId,
    /// Unique in the organization, whatever the case.
    pub name: String,
    /// Its work directory's random id.
    pub instance_id: String,
    /// The version of its program.
    pub version: String,
    /// The version of the protocol that it speaks.
    pub protocol_version: String,
    /// What it can run.
    pub engines: Engines,
    /// Its key's tags, normalised.
    pub tags: Tags,
    /// Jobs at a time.
    pub capacity: i32,
    /// When something was last heard of it.
    pub last_seen_at: Option<Timestamp>,
    /// When it last connected.
    pub registered_at: Timestamp,
    /// When it ended in order, if it did since it last connected.
    pub left_at: Option<Timestamp>,
    /// When it first connected.
    pub created_at: Timestamp,
}

impl Model {
    /// Whether it can be there: it was heard of since then, and didn't say that it ends.
    #[must_use]
    pub fn is_live(&self, since: Timestamp) -> bool {
        self.left_at.is_none() && self.last_seen_at >= Some(since)
    }
}

/// Engines, as a column their names with commas between.
#[derive(Debug, Clone, PartialEq, Eq, Default, DeriveValueType)]
#[sea_orm(value_type = "String")]
pub struct Engines(pub BTreeSet<Engine>);

/// A name that isn't an engine's.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} isn't an engine")]
pub struct UnknownEngine(String);

impl fmt::Display for Engines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(|engine| engine.text()).collect::<Vec<_>>().join(","))
    }
}

impl FromStr for Engines {
    type Err = UnknownEngine;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let names = text.split(',').filter(|name| !name.is_empty());
        names
            .map(|name| Engine::parse(name).ok_or_else(|| UnknownEngine(name.to_owned())))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// None.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

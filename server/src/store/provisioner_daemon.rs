//! Daemons, as records.

use std::time::Duration;

use sea_orm::{
    ColumnTrait as _, Condition, EntityTrait as _, FromQueryResult as _, QueryFilter as _, QueryOrder as _, Value,
};

use super::entity::provisioner_daemon::{self, Engines};
use super::error::from_db;
use super::{Access, Tx};
use crate::domain::error::ProtocolFault;
use crate::domain::id::{DaemonId, OrganizationId, ProvisionerKeyId, ProvisionerKeySecretId};
use crate::domain::tags::Tags;
use crate::domain::time::micros;
use crate::domain::{Error, Result, Timestamp};

/// Ids in one statement.
const CHUNK: usize = 5000;

/// A daemon, as it registers.
#[derive(Debug, Clone)]
pub struct Registration {
    /// Its key's organization.
    pub organization_id: OrganizationId,
    /// Its key.
    pub key_id: ProvisionerKeyId,
    /// Its name.
    pub name: String,
    /// Its work directory.
    pub instance_id: String,
    /// Its program's version.
    pub version: String,
    /// The protocol that it speaks.
    pub protocol_version: String,
    /// What it runs.
    pub engines: Engines,
    /// Its key's tags.
    pub tags: Tags,
    /// Jobs at a time.
    pub capacity: i32,
}

/// Stores a daemon that connects. One that was there by its name, in any case, stays itself; another gets the name when
/// the one that has it left, or wasn't heard of for so long on any server.
///
/// # Errors
/// [`ProtocolFault::NameInUse`], or [`Error::Unavailable`] when the database can't be reached.
pub async fn upsert(tx: &Tx, new: Registration, contact_lost_after: Duration) -> Result<provisioner_daemon::Model> {
    let Registration { organization_id, key_id, name, instance_id, version, protocol_version, engines, tags, capacity } =
        new;
    let sql = format!(
        "INSERT INTO provisioner_daemon (id, organization_id, key_id, name, instance_id, version, protocol_version,
             engines, tags, capacity, last_seen_at, registered_at, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, {now}, {now}, {now})
         ON CONFLICT (organization_id, lower(name)) DO UPDATE SET key_id = excluded.key_id, name = excluded.name,
             instance_id = excluded.instance_id, version = excluded.version,
             protocol_version = excluded.protocol_version, engines = excluded.engines, tags = excluded.tags,
             capacity = excluded.capacity, last_seen_at = excluded.last_seen_at,
             registered_at = excluded.registered_at, left_at = NULL
         WHERE provisioner_daemon.instance_id = excluded.instance_id OR provisioner_daemon.left_at IS NOT NULL
             OR provisioner_daemon.last_seen_at < {now} - $11
         RETURNING *",
        now = tx.dialect().now()
    );
    let values: [Value; 11] = [
        DaemonId::new().into(),
        organization_id.into(),
        key_id.into(),
        name.clone().into(),
        instance_id.into(),
        version.into(),
        protocol_version.into(),
        engines.into(),
        tags.into(),
        capacity.into(),
        micros(contact_lost_after).into(),
    ];
    let row = tx.query_one(&sql, values).await?.ok_or(Error::Protocol(ProtocolFault::NameInUse(name)))?;
    provisioner_daemon::Model::from_query_result(&row, "").map_err(from_db)
}

/// The work directory that the daemon of this name had when it last connected.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn instance_of(db: &impl Access, organization: OrganizationId, name: &str) -> Result<Option<String>> {
    let sql = "SELECT instance_id FROM provisioner_daemon WHERE organization_id = $1 AND lower(name) = lower($2)";
    let row = db.query_one(sql, [organization.into(), name.into()]).await?;
    row.map(|row| row.try_get_by_index(0)).transpose().map_err(from_db)
}

/// Notes that something was heard of daemons, in one statement.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn touch(tx: &Tx, ids: &[DaemonId]) -> Result<()> {
    for chunk in ids.chunks(CHUNK) {
        let places = (1..=chunk.len()).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ");
        let now = tx.dialect().now();
        let sql = format!("UPDATE provisioner_daemon SET last_seen_at = {now} WHERE id IN ({places})");
        let values: Vec<Value> = chunk.iter().map(|id| Value::from(*id)).collect();
        tx.execute(&sql, values).await?;
    }
    Ok(())
}

/// Notes that a daemon ended, until it connects again; nothing when it has connected since it registered then.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn leave(tx: &Tx, id: DaemonId, registered_at: Timestamp) -> Result<()> {
    let now = tx.dialect().now();
    let sql = format!("UPDATE provisioner_daemon SET left_at = {now} WHERE id = $1 AND registered_at = $2");
    tx.execute(&sql, [id.into(), registered_at.into()]).await.map(|_| ())
}

/// The daemons of an organization that fit, newest first; with `ids` only those, with `seen_since` only those that were
/// heard of since then.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn list(
    db: &impl Access,
    organization: OrganizationId,
    ids: Vec<DaemonId>,
    seen_since: Option<Timestamp>,
) -> Result<Vec<provisioner_daemon::Model>> {
    let mut filter = Condition::all().add(provisioner_daemon::Column::OrganizationId.eq(organization));
    if !ids.is_empty() {
        filter = filter.add(provisioner_daemon::Column::Id.is_in(ids));
    }
    if let Some(since) = seen_since {
        filter = filter.add(provisioner_daemon::Column::LastSeenAt.gte(since));
    }
    let query = provisioner_daemon::Entity::find().filter(filter);
    let query =
        query.order_by_desc(provisioner_daemon::Column::CreatedAt).order_by_desc(provisioner_daemon::Column::Id);
    query.all(&db.executor()).await.map_err(from_db)
}

/// The daemons of these organizations that were heard of since then, oldest first.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn of_organizations(
    db: &impl Access,
    organizations: Vec<OrganizationId>,
    seen_since: Timestamp,
) -> Result<Vec<provisioner_daemon::Model>> {
    let query = provisioner_daemon::Entity::find()
        .filter(provisioner_daemon::Column::LastSeenAt.gte(seen_since))
        .filter(provisioner_daemon::Column::OrganizationId.is_in(organizations))
        .order_by_asc(provisioner_daemon::Column::CreatedAt);
    query.all(&db.executor()).await.map_err(from_db)
}

/// Which of these secrets of keys are good no more.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn ended_secrets(
    db: &impl Access,
    secrets: &[ProvisionerKeySecretId],
) -> Result<Vec<ProvisionerKeySecretId>> {
    let mut good = Vec::with_capacity(secrets.len());
    for chunk in secrets.chunks(CHUNK) {
        let places = (1..=chunk.len()).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ");
        let sql = format!(
            "SELECT id FROM provisioner_key_secret WHERE id IN ({places}) AND revoked_at IS NULL
             AND (expires_at IS NULL OR expires_at > {now})",
            now = db.dialect().now()
        );
        let values: Vec<Value> = chunk.iter().map(|id| Value::from(*id)).collect();
        for row in db.query_all(&sql, values).await? {
            good.push(row.try_get_by_index(0).map_err(from_db)?);
        }
    }
    Ok(secrets.iter().filter(|secret| !good.contains(*secret)).copied().collect())
}

/// The names of keys.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn key_names(
    db: &impl Access,
    keys: Vec<ProvisionerKeyId>,
) -> Result<std::collections::HashMap<ProvisionerKeyId, String>> {
    use super::entity::provisioner_key;
    let mut found = Vec::new();
    for some in keys.chunks(super::IDS) {
        let query = provisioner_key::Entity::find().filter(provisioner_key::Column::Id.is_in(some.iter().copied()));
        found.extend(query.all(&db.executor()).await.map_err(from_db)?);
    }
    Ok(found.into_iter().map(|key| (key.id, key.name)).collect())
}

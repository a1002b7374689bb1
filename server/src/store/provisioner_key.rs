//! Provisioner keys and their secrets.

use std::time::Duration;

use sea_orm::{
    ColumnTrait as _, EntityTrait as _, FromQueryResult as _, IntoActiveModel as _, QueryFilter as _, QueryOrder as _,
};

use super::entity::{provisioner_key, provisioner_key_secret};
use super::error::{from_db, name_taken};
use super::{Access, Tx};
use crate::domain::error::Kind;
use crate::domain::id::{OrganizationId, ProvisionerKeyId, ProvisionerKeySecretId};
use crate::domain::provisioner_key::{BUILT_IN, KeyTags};
use crate::domain::{Error, Result, Timestamp};

/// What a secret says about the daemon that shows it.
#[derive(Debug)]
pub struct Secret {
    /// Which secret.
    pub id: ProvisionerKeySecretId,
    /// Of which key.
    pub key_id: ProvisionerKeyId,
    /// Of which organization.
    pub organization_id: OrganizationId,
    /// Whether it was revoked or has expired by now.
    pub ended: bool,
    /// The key's last use.
    pub last_used_at: Option<Timestamp>,
    /// The time of the database at this.
    pub now: Timestamp,
}

/// A secret by its hash, if its key and organization live.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn find_secret(db: &impl Access, sha256: &[u8]) -> Result<Option<Secret>> {
    let sql = format!(
        "SELECT s.id, s.key_id, k.organization_id, s.expires_at, s.revoked_at, k.last_used_at, {}
         FROM provisioner_key_secret s
         JOIN provisioner_key k ON k.id = s.key_id
         JOIN organization o ON o.id = k.organization_id AND NOT o.deleted
         WHERE s.secret_sha256 = $1",
        db.dialect().now()
    );
    let Some(row) = db.query_one(&sql, [sha256.to_vec().into()]).await? else { return Ok(None) };
    let read = || -> Result<Secret, sea_orm::DbErr> {
        let expires_at: Option<Timestamp> = row.try_get_by_index(3)?;
        let revoked_at: Option<Timestamp> = row.try_get_by_index(4)?;
        let now = row.try_get_by_index(6)?;
        Ok(Secret {
            id: row.try_get_by_index(0)?,
            key_id: row.try_get_by_index(1)?,
            organization_id: row.try_get_by_index(2)?,
            ended: [expires_at, revoked_at].into_iter().flatten().any(|end| end <= now),
            last_used_at: row.try_get_by_index(5)?,
            now,
        })
    };
    read().map(Some).map_err(from_db)
}

/// Notes a use of a key, unless a use of it was noted within `interval`.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn touch(tx: &Tx, id: ProvisionerKeyId, now: Timestamp, interval: Duration) -> Result<()> {
    let sql = "UPDATE provisioner_key SET last_used_at = $2
         WHERE id = $1 AND (last_used_at IS NULL OR last_used_at <= $3)";
    tx.execute(sql, [id.into(), now.into(), now.minus(interval).into()]).await.map(|_| ())
}

/// A key.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn find(db: &impl Access, id: ProvisionerKeyId) -> Result<Option<provisioner_key::Model>> {
    provisioner_key::Entity::find_by_id(id).one(&db.executor()).await.map_err(from_db)
}

/// An organization's keys, oldest first, without that of built-in daemons.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn list(db: &impl Access, organization: OrganizationId) -> Result<Vec<provisioner_key::Model>> {
    provisioner_key::Entity::find()
        .filter(provisioner_key::Column::OrganizationId.eq(organization))
        .filter(provisioner_key::Column::Id.ne(BUILT_IN.0))
        .order_by_asc(provisioner_key::Column::CreatedAt)
        .order_by_asc(provisioner_key::Column::Id)
        .all(&db.executor())
        .await
        .map_err(from_db)
}

/// Stores a new key with its first secret.
///
/// # Errors
/// [`Error::AlreadyExists`] when the organization has a key of that name.
pub async fn insert(tx: &Tx, key: provisioner_key::Model, secret: provisioner_key_secret::Model) -> Result<()> {
    let name = key.name.clone();
    let insert = provisioner_key::Entity::insert(key.into_active_model());
    let inserted = insert.exec_without_returning(&tx.executor()).await;
    inserted.map_err(name_taken(Kind::ProvisionerKey, &name, "name"))?;
    let insert = provisioner_key_secret::Entity::insert(secret.into_active_model());
    insert.exec_without_returning(&tx.executor()).await.map(|_| ()).map_err(from_db)
}

/// Stores the key of built-in daemons, unless it is there.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn ensure_built_in(tx: &Tx, organization: OrganizationId) -> Result<()> {
    let sql = format!(
        "INSERT INTO provisioner_key (id, organization_id, name, tags, description, last_used_at, created_at)
         VALUES ($1, $2, $3, $4, '', NULL, {}) ON CONFLICT DO NOTHING",
        tx.dialect().now()
    );
    let (id, name) = BUILT_IN;
    tx.execute(&sql, [id.into(), organization.into(), name.into(), KeyTags::default().into()]).await.map(|_| ())
}

/// Stores a further secret of a key.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn insert_secret(tx: &Tx, secret: provisioner_key_secret::Model) -> Result<()> {
    let insert = provisioner_key_secret::Entity::insert(secret.into_active_model());
    insert.exec_without_returning(&tx.executor()).await.map(|_| ()).map_err(from_db)
}

/// Lets a secret be good until then.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn extend_secret(tx: &Tx, id: ProvisionerKeySecretId, until: Timestamp) -> Result<()> {
    let sql = "UPDATE provisioner_key_secret SET expires_at = $2 WHERE id = $1";
    tx.execute(sql, [id.into(), until.into()]).await.map(|_| ())
}

/// Deletes a secret of a key.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn delete_secret(tx: &Tx, id: ProvisionerKeySecretId) -> Result<()> {
    tx.execute("DELETE FROM provisioner_key_secret WHERE id = $1", [id.into()]).await.map(|_| ())
}

/// Deletes the secrets of built-in daemons that are good no more: their servers ended without doing so.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn sweep_built_in(tx: &Tx) -> Result<()> {
    let sql = format!("DELETE FROM provisioner_key_secret WHERE key_id = $1 AND expires_at <= {}", tx.dialect().now());
    tx.execute(&sql, [BUILT_IN.0.into()]).await.map(|_| ())
}

/// Deletes a key by its lower-case name, with its secrets and daemons; what it was.
///
/// # Errors
/// [`Error::NotFound`] when the organization has none of that name.
pub async fn delete(tx: &Tx, organization: OrganizationId, name: &str) -> Result<provisioner_key::Model> {
    let sql = "DELETE FROM provisioner_key WHERE organization_id = $1 AND name = $2 RETURNING *";
    let row = tx.query_one(sql, [organization.into(), name.into()]).await?;
    let row = row.ok_or(Error::NotFound(Kind::ProvisionerKey))?;
    provisioner_key::Model::from_query_result(&row, "").map_err(from_db)
}

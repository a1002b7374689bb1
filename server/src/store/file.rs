//! Files that people uploaded: who, and which bytes.

use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _};

use super::entity::file::{Column, Entity, Model};
use super::error::from_db;
use super::{Access, Tx, now};
use crate::domain::id::{FileId, OrganizationId, UserId};
use crate::domain::{Error, Result};

/// A file.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn find(db: &impl Access, id: FileId) -> Result<Option<Model>> {
    Entity::find_by_id(id).one(&db.executor()).await.map_err(from_db)
}

/// The file with this content of this user, and whether it is new.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn insert(tx: &Tx, sha256: &str, content_type: &str, created_by: UserId) -> Result<(Model, bool)> {
    let sql = "INSERT INTO file (id, sha256, content_type, created_by, created_at) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (sha256, created_by) DO NOTHING";
    let (id, created_at) = (FileId::new(), now(tx).await?);
    let values = [id.into(), sha256.into(), content_type.into(), created_by.into(), created_at.into()];
    let created = tx.execute(sql, values).await? == 1;
    let query = Entity::find().filter(Column::Sha256.eq(sha256)).filter(Column::CreatedBy.eq(created_by));
    let file = query.one(&tx.executor()).await.map_err(from_db)?;
    Ok((file.ok_or_else(|| Error::internal("a file vanished while it was stored"))?, created))
}

/// The organizations that have a live template with a version made of this file.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn template_organizations(db: &impl Access, id: FileId) -> Result<Vec<OrganizationId>> {
    let sql = "SELECT DISTINCT t.organization_id FROM provisioner_job j
        JOIN template_version v ON v.job_id = j.id
        JOIN template t ON t.id = v.template_id
        WHERE j.file_id = $1 AND NOT t.deleted";
    let rows = db.query_all(sql, [id.into()]).await?;
    rows.iter().map(|row| row.try_get_by_index(0).map_err(from_db)).collect()
}

//! The audit log.

use sea_orm::{EntityTrait as _, IntoActiveModel as _};

use super::entity::audit_log::{Entity, Model};
use super::error::from_db;
use super::{Access as _, Tx};
use crate::domain::Result;

/// Stores an entry.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn insert(tx: &Tx, entry: Model) -> Result<()> {
    let insert = Entity::insert(entry.into_active_model());
    insert.exec_without_returning(&tx.executor()).await.map(|_| ()).map_err(from_db)
}

/// Stores some entries in one statement.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn insert_all(tx: &Tx, entries: Vec<Model>) -> Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let insert = Entity::insert_many(entries.into_iter().map(Model::into_active_model));
    insert.exec_without_returning(&tx.executor()).await.map(|_| ()).map_err(from_db)
}

//! Dry runs, beside their jobs.

use sea_orm::{EntityTrait as _, IntoActiveModel as _};

use super::entity::dry_run::{Entity, Model};
use super::error::from_db;
use super::{Access as _, Tx};
use crate::domain::Result;

/// Stores what a dry run was asked to plan.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn insert(tx: &Tx, dry_run: &Model) -> Result<()> {
    let insert = Entity::insert(dry_run.clone().into_active_model()).exec_without_returning(&tx.executor()).await;
    insert.map(|_| ()).map_err(from_db)
}

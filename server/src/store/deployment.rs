//! What a deployment knows of itself: values that are written once, by whichever server comes first.

use uuid::Uuid;

use super::{Access as _, Tx, error};
use crate::domain::{Error, Result};

/// The id of the deployment.
pub(super) async fn id(tx: &Tx) -> Result<Uuid> {
    let id = once(tx, "id", Uuid::new_v4().as_bytes()).await?;
    Uuid::from_slice(&id).map_err(Error::internal)
}

/// Seals a known value once and opens it ever after: a wrong key is found at start, not at the first state.
pub(super) async fn check_sealing_key(tx: &Tx) -> Result<(), error::Open> {
    const NAME: &str = "sealing_key_check";
    let sealed = once(tx, NAME, &tx.sealer().seal(NAME.as_bytes())).await.map_err(error::Open::Store)?;
    tx.sealer().open(&sealed).map(drop).map_err(|_| error::Open::SealingKey)
}

/// The value under a name; the given one where there was none.
async fn once(tx: &Tx, name: &str, value: &[u8]) -> Result<Vec<u8>> {
    let insert = "INSERT INTO deployment (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    tx.execute(insert, [name.into(), value.to_vec().into()]).await?;
    let row = tx.query_one("SELECT value FROM deployment WHERE name = $1", [name.into()]).await?;
    let row = row.ok_or_else(|| Error::internal("what the deployment knows of itself is gone"))?;
    row.try_get_by_index(0).map_err(error::from_db)
}

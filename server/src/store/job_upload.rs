//! Which bytes the daemons of a job handed in: it may refer to no others.

use super::{Access, Tx};
use crate::domain::Result;
use crate::domain::id::JobId;

/// Notes that bytes, which are stored, came from a job.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn insert(tx: &Tx, job: JobId, sha256: &str) -> Result<()> {
    let sql = "INSERT INTO job_upload (job_id, sha256) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    tx.execute(sql, [job.into(), sha256.into()]).await.map(|_| ())
}

/// Whether bytes came from a job.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn exists(db: &impl Access, job: JobId, sha256: &str) -> Result<bool> {
    let sql = "SELECT 1 FROM job_upload WHERE job_id = $1 AND sha256 = $2";
    Ok(db.query_one(sql, [job.into(), sha256.into()]).await?.is_some())
}

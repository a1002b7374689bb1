//! Bytes by their SHA-256: archives, states, plans, modules. Sealed in rows of at most 1 MiB of plain bytes.

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::error::from_db;
use super::{Access, Tx, now};
use crate::domain::{Error, Result};

/// Plain bytes in one row.
pub const CHUNK: usize = 1024 * 1024;

/// The SHA-256 of bytes in lower-case hex, as references name them.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Stores bytes under their SHA-256, which is returned; bytes that are there already are left as they are.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn insert(tx: &Tx, bytes: &[u8]) -> Result<String> {
    let sha256 = sha256(bytes);
    let size = i64::try_from(bytes.len()).map_err(Error::internal)?;
    let sql = "INSERT INTO blob (sha256, size, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    let created_at = now(tx).await?;
    if tx.execute(sql, [sha256.clone().into(), size.into(), created_at.into()]).await? == 0 {
        return Ok(sha256);
    }
    for (position, chunk) in (0_i32..).zip(bytes.chunks(CHUNK)) {
        let sealed = tx.sealer().seal(chunk);
        let sql = "INSERT INTO blob_chunk (sha256, position, data) VALUES ($1, $2, $3)";
        tx.execute(sql, [sha256.clone().into(), position.into(), sealed.into()]).await?;
    }
    Ok(sha256)
}

/// One row's worth of a blob; `None` past its end. Reading row by row keeps memory flat whatever the size.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached, [`Error::Internal`] when the row is damaged.
pub async fn chunk(db: &impl Access, sha256: &str, position: i32) -> Result<Option<Vec<u8>>> {
    let sql = "SELECT data FROM blob_chunk WHERE sha256 = $1 AND position = $2";
    let Some(row) = db.query_one(sql, [sha256.into(), position.into()]).await? else { return Ok(None) };
    let sealed: Vec<u8> = row.try_get_by_index(0).map_err(from_db)?;
    db.sealer().open(&sealed).map(Some).map_err(Error::internal)
}

/// Stores what `source` gives under its SHA-256 and size, which the caller has computed; bytes that are there already are
/// left as they are. Holds one row's worth in memory.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached, [`Error::Internal`] when the source fails or isn't what the
/// caller says.
pub async fn insert_from(tx: &Tx, sha256: &str, size: u64, mut source: impl AsyncRead + Unpin + Send) -> Result<()> {
    let stored_size = i64::try_from(size).map_err(Error::internal)?;
    let sql = "INSERT INTO blob (sha256, size, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    let created_at = now(tx).await?;
    if tx.execute(sql, [sha256.into(), stored_size.into(), created_at.into()]).await? == 0 {
        return Ok(());
    }
    let mut left = size;
    let mut digest = Sha256::new();
    for position in 0_i32.. {
        if left == 0 {
            break;
        }
        let mut chunk = Vec::with_capacity(CHUNK);
        let limit = left.min(CHUNK as u64);
        (&mut source).take(limit).read_to_end(&mut chunk).await.map_err(Error::internal)?;
        if chunk.is_empty() {
            break;
        }
        left = left.saturating_sub(chunk.len() as u64);
        digest.update(&chunk);
        let sql = "INSERT INTO blob_chunk (sha256, position, data) VALUES ($1, $2, $3)";
        tx.execute(sql, [sha256.into(), position.into(), tx.sealer().seal(&chunk).into()]).await?;
    }
    if left > 0 || hex(&digest.finalize()) != sha256 {
        return Err(Error::internal("the bytes to store changed while they were stored"));
    }
    Ok(())
}

//! Bytes that come in, kept in a file without a name until all are there: the database is used for good bytes alone and
//! for no longer than their storing takes.

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

use crate::domain::{Error, Result};
use crate::store;

/// Bytes that are read at once.
const PIECE: usize = 256 * 1024;

/// What came so far.
pub(super) struct Spool {
    file: tokio::fs::File,
    digest: Sha256,
    size: u64,
}

/// Bytes outside of memory, to be read from their start.
pub(super) struct Spooled {
    pub(super) file: tokio::fs::File,
    pub(super) sha256: String,
    pub(super) size: u64,
}

impl Spool {
    /// Nothing yet.
    pub(super) async fn new() -> Result<Self> {
        let file = tokio::task::spawn_blocking(tempfile::tempfile).await.map_err(Error::internal)?;
        let file = tokio::fs::File::from_std(file.map_err(Error::internal)?);
        Ok(Self { file, digest: Sha256::new(), size: 0 })
    }

    /// A file that is there already, from its start on.
    pub(super) async fn of(mut file: tokio::fs::File) -> Result<Spooled> {
        let (mut digest, mut size, mut piece) = (Sha256::new(), 0, vec![0; PIECE]);
        loop {
            let read = file.read(&mut piece).await.map_err(Error::internal)?;
            if read == 0 {
                break;
            }
            digest.update(&piece[..read]);
            size += read as u64;
        }
        Self { file, digest, size }.finish().await
    }

    /// Bytes so far.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Adds what came.
    pub(super) async fn write(&mut self, piece: &[u8]) -> Result<()> {
        self.digest.update(piece);
        self.size += piece.len() as u64;
        self.file.write_all(piece).await.map_err(Error::internal)
    }

    /// All is there.
    pub(super) async fn finish(mut self) -> Result<Spooled> {
        self.file.flush().await.map_err(Error::internal)?;
        self.file.rewind().await.map_err(Error::internal)?;
        Ok(Spooled { file: self.file, sha256: store::blob::hex(&self.digest.finalize()), size: self.size })
    }
}

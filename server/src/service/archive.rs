//! Conversions between tar and zip, in files without names, off the runtime's threads and few at a time: each takes a core
//! for seconds.

use std::io::{BufReader, BufWriter, Seek as _};
use std::pin::Pin;

use futures_util::{Stream, StreamExt as _, stream};
use tokio::io::AsyncReadExt as _;
use tokio::sync::Semaphore;

use super::spool::{Spool, Spooled};
use crate::domain::archive::{Failure, Fault, MAX_SIZE, to_tar, to_zip};
use crate::domain::{Error, Result};

/// Conversions at the same time; others wait.
const AT_ONCE: usize = 2;
/// Bytes that are read at once.
const PIECE: usize = 1024 * 1024;

/// A file's bytes as they are read.
pub(super) type Pieces = Pin<Box<dyn Stream<Item = Result<Vec<u8>>> + Send>>;

/// Converts archives.
#[derive(Debug)]
pub(super) struct Archives(Semaphore);

impl Default for Archives {
    fn default() -> Self {
        Self(Semaphore::new(AT_ONCE))
    }
}

impl Archives {
    /// The tar with the files of a zip.
    ///
    /// # Errors
    /// [`Error::Invalid`] or [`Error::TooLarge`] with the zip's first fault.
    pub(super) async fn tar_of(&self, zip: Spooled) -> Result<Spooled> {
        let tar = self.run(zip.file, |zip, tar| to_tar(&mut BufReader::new(zip), BufWriter::new(tar))).await?;
        // What a tar has around its files isn't the files' size, but is stored with them.
        let size = tar.metadata().await.map_err(Error::internal)?.len();
        if size > MAX_SIZE { Err(refused(Fault::LargeUnpacked)) } else { Spool::of(tar).await }
    }

    /// The zip with the files of a stored tar.
    ///
    /// # Errors
    /// What the tar's stream gives.
    pub(super) async fn zip_of(&self, mut tar: Pieces) -> Result<Pieces> {
        let mut spool = Spool::new().await?;
        while let Some(piece) = tar.next().await {
            spool.write(&piece?).await?;
        }
        let tar = spool.finish().await?.file;
        let zip = self.run(tar, |tar, zip| Ok(to_zip(BufReader::new(tar), BufWriter::new(zip))?)).await?;
        Ok(Box::pin(stream::try_unfold(zip, async |mut zip| {
            let mut piece = Vec::new();
            (&mut zip).take(PIECE as u64).read_to_end(&mut piece).await.map_err(Error::internal)?;
            Ok((!piece.is_empty()).then_some((piece, zip)))
        })))
    }

    /// Runs a conversion of a file into a new one, which is then read from its start.
    async fn run<F>(&self, from: tokio::fs::File, convert: F) -> Result<tokio::fs::File>
    where
        F: FnOnce(&mut std::fs::File, &mut std::fs::File) -> Result<(), Failure> + Send + 'static,
    {
        let _place = self.0.acquire().await.map_err(Error::internal)?;
        let mut from = from.into_std().await;
        let converted = tokio::task::spawn_blocking(move || {
            let mut to = tempfile::tempfile()?;
            convert(&mut from, &mut to)?;
            to.rewind()?;
            Ok(to)
        });
        match converted.await.map_err(Error::internal)? {
            Ok(to) => Ok(tokio::fs::File::from_std(to)),
            Err(Failure::Refused(fault)) => Err(refused(fault)),
            Err(Failure::Io(error)) => Err(Error::internal(error)),
        }
    }
}

/// What the uploader is told.
pub(super) fn refused(fault: Fault) -> Error {
    match fault {
        Fault::Large => Error::TooLarge { what: "The archive", limit: "100 MiB" },
        Fault::LargeUnpacked => Error::TooLarge { what: "The unpacked archive", limit: "100 MiB" },
        Fault::Entries => Error::TooLarge { what: "The number of the archive's entries", limit: "10000" },
        fault => Error::invalid("archive", format!("The archive {fault}.")),
    }
}

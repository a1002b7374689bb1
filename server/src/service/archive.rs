//! Conversions between tar and zip, in files without names, off the runtime's threads and few at a time: each takes a core
//! for seconds.

use std::io::{BufReader, BufWriter, Seek as _};
use std::pin::Pin;
use std::sync::Arc;

use futures_util::{Stream, StreamExt as _, stream};
use tokio::io::AsyncReadExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

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
pub(super) struct Archives(Arc<Semaphore>);

impl Default for Archives {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Archives {
    /// The tar with the files of a zip.
    ///
    /// # Errors
    /// [`Error::Invalid`] or [`Error::TooLarge`] with the zip's first fault.
    pub(super) async fn tar_of(&self, zip: Spooled) -> Result<Spooled> {
        let place = self.place().await?;
        let tar = run(place, zip.file, |zip, tar| to_tar(&mut BufReader::new(zip), BufWriter::new(tar))).await?;
        // What a tar has around its files isn't the files' size, but is stored with them.
        let size = tar.metadata().await.map_err(Error::internal)?.len();
        if size > MAX_SIZE { Err(refused(Fault::LargeUnpacked)) } else { Spool::of(tar).await }
    }

    /// The zip with the files of a stored tar.
    ///
    /// # Errors
    /// What the tar's stream gives.
    pub(super) async fn zip_of(&self, mut tar: Pieces) -> Result<Pieces> {
        // Before anything of it lies on the disk.
        let place = self.place().await?;
        let mut spool = Spool::new().await?;
        while let Some(piece) = tar.next().await {
            spool.write(&piece?).await?;
        }
        let tar = spool.finish().await?.file;
        let zip = run(place, tar, |tar, zip| Ok(to_zip(BufReader::new(tar), BufWriter::new(zip))?)).await?;
        Ok(Box::pin(stream::try_unfold(zip, async |mut zip| {
            let mut piece = Vec::new();
            (&mut zip).take(PIECE as u64).read_to_end(&mut piece).await.map_err(Error::internal)?;
            Ok((!piece.is_empty()).then_some((piece, zip)))
        })))
    }

    async fn place(&self) -> Result<OwnedSemaphorePermit> {
        self.0.clone().acquire_owned().await.map_err(Error::internal)
    }
}

/// Runs a conversion of a file into a new one, which is then read from its start.
async fn run<F>(place: OwnedSemaphorePermit, from: tokio::fs::File, convert: F) -> Result<tokio::fs::File>
where
    F: FnOnce(&mut std::fs::File, &mut std::fs::File) -> Result<(), Failure> + Send + 'static,
{
    let mut from = from.into_std().await;
    let converted = tokio::task::spawn_blocking(move || {
        // It goes along: a caller that gives up doesn't end the work.
        let _place = place;
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

/// What the uploader is told.
pub(super) fn refused(fault: Fault) -> Error {
    match fault {
        Fault::Large => Error::TooLarge { what: "The archive", limit: "100 MiB" },
        Fault::LargeUnpacked => Error::TooLarge { what: "The unpacked archive", limit: "100 MiB" },
        Fault::Entries => Error::TooLarge { what: "The number of the archive's entries", limit: "10000" },
        fault => Error::invalid("archive", format!("The archive {fault}.")),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_place_is_taken_for_as_long_as_the_work_goes_on() {
        let archives = Archives::default();
        let (started, starts) = mpsc::channel();
        let (go_on, goes_on) = mpsc::channel();
        let place = archives.place().await.unwrap();
        let from = tokio::fs::File::from_std(tempfile::tempfile().unwrap());
        let caller = tokio::spawn(run(place, from, move |_, _| {
            started.send(()).unwrap();
            goes_on.recv().unwrap();
            Ok(())
        }));
        let starts = tokio::task::spawn_blocking(move || starts.recv());
        starts.await.unwrap().unwrap();
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
        assert_eq!(archives.0.available_permits(), AT_ONCE - 1, "its caller went, it didn't");
        go_on.send(()).unwrap();
        let all = u32::try_from(AT_ONCE).unwrap();
        drop(archives.0.acquire_many(all).await.unwrap());
    }

    #[tokio::test]
    async fn nothing_is_read_before_there_is_a_place() {
        let archives = Archives::default();
        let places = archives.0.clone().acquire_many_owned(u32::try_from(AT_ONCE).unwrap()).await.unwrap();
        let (reads, mut read) = tokio::sync::oneshot::channel();
        let tar: Pieces = Box::pin(stream::once(async move {
            reads.send(()).unwrap();
            Err(Error::internal("read"))
        }));
        let mut zip = Box::pin(archives.zip_of(tar));
        assert!(futures_util::poll!(&mut zip).is_pending());
        assert!(read.try_recv().is_err());
        drop(places);
        assert!(zip.await.is_err());
        read.await.unwrap();
    }
}

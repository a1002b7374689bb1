//! Archives of template sources.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::archive::{self, Pieces};
use super::audit::Attempt;
use super::{Caller, Service};
use crate::domain::archive::{Check, Fault, MAX_SIZE};
use crate::domain::audit::{AuditAction, AuditResource};
use crate::domain::error::Kind;
use crate::domain::id::FileId;
use crate::domain::permission::{Action, Object, Resource, Subject, allowed};
use crate::domain::{Error, Result};
use crate::store;
use crate::store::entity::file;

use super::shares::Shares;
use super::spool::{Spool, Spooled};

/// The kind of archive that is stored.
const TAR: &str = "application/x-tar";
/// What is made a tar of, by the names that clients use.
const ZIP: [&str; 2] = ["application/zip", "application/x-zip-compressed"];
/// Uploads at a time; others wait.
const UPLOADS: usize = 16;
/// Uploads and zips that one user has at a time: each is a file on this server's disk.
const EACH: usize = 4;
/// An upload of which nothing comes for this long is given up: others wait for its place.
const IDLE: Duration = Duration::from_secs(30);
/// However steadily an archive comes, it has come by then.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// Bounds the archives that stand on the disk between clients and the database.
#[derive(Debug)]
pub(super) struct Transfers {
    uploads: Semaphore,
    users: Arc<Shares>,
}

impl Default for Transfers {
    fn default() -> Self {
        Self { uploads: Semaphore::new(UPLOADS), users: Shares::new("uploads and downloads of archives", EACH) }
    }
}

impl Service {
    /// Stores an archive, a zip as the tar with the same files; nothing of a refused one. Also says whether it is new: the
    /// same content of the same user keeps its id.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::TooMany`], [`Error::Invalid`] and [`Error::TooLarge`] with what is wrong with the
    /// archive, or what the stream gives.
    pub async fn file_upload<S>(&self, caller: &Caller, content_type: &str, pieces: S) -> Result<(file::Model, bool)>
    where
        S: Stream<Item = Result<Vec<u8>>> + Send + Unpin,
    {
        let mut attempt = self.attempt(caller, AuditAction::Create, AuditResource::File);
        let result = self.file_upload_attempt(caller, content_type, pieces, &mut attempt).await;
        attempt.end(result).await
    }

    async fn file_upload_attempt<S>(
        &self,
        caller: &Caller,
        content_type: &str,
        pieces: S,
        attempt: &mut Attempt<'_>,
    ) -> Result<(file::Model, bool)>
    where
        S: Stream<Item = Result<Vec<u8>>> + Send + Unpin,
    {
        let subject = caller.user()?;
        if !may_upload(subject) {
            return Err(Error::Denied);
        }
        let _share = self.transfers.users.take(subject.user_id)?;
        let _place = self.transfers.uploads.acquire().await.map_err(Error::internal)?;
        let pieces = timely(pieces);
        let Spooled { file, sha256, size } = if content_type == TAR {
            spool_tar(pieces).await?
        } else if ZIP.contains(&content_type) {
            self.archives.tar_of(spool_zip(pieces).await?).await?
        } else {
            return Err(Error::invalid("content_type", format!("must be `{TAR}` or `{}`", ZIP[0])));
        };
        let tx = self.store.begin().await?;
        store::blob::insert_from(&tx, &sha256, size, file).await?;
        let stored = store::file::insert(&tx, &sha256, TAR, subject.user_id).await?;
        let (file, is_new) = &stored;
        attempt.about(file.id.0, "").change((!is_new).then_some(file), Some(file)).commit(tx).await?;
        Ok(stored)
    }

    /// A file's bytes in pieces of at most 1 MiB: as they are stored, or as a zip with the same files.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::NotFound`] for a file that the caller may not read, or [`Error::TooMany`].
    pub async fn file_download(&self, caller: &Caller, id: &str, format: &str) -> Result<Pieces> {
        let subject = caller.user()?;
        let id = FileId::parse(id).ok_or_else(|| Error::invalid("file", "must be a UUID"))?;
        if !matches!(format, "" | "tar" | "zip") {
            return Err(Error::invalid("format", "must be `tar` or `zip`"));
        }
        let file = self.file_find(subject, id).await?;
        let rows = stream::try_unfold((self.store.clone(), file.sha256, 0), async |(store, sha256, position)| {
            let chunk = store::blob::chunk(&store, &sha256, position).await?;
            Ok(chunk.map(|chunk| (chunk, (store, sha256, position + 1))))
        });
        if format != "zip" {
            return Ok(Box::pin(rows));
        }
        let share = self.transfers.users.take(subject.user_id)?;
        let zip = self.archives.zip_of(Box::pin(rows)).await?;
        // For as long as the zip is there.
        Ok(Box::pin(zip.inspect(move |_| _ = &share)))
    }

    /// A file that the caller may read and make versions of: their own, or one of a template that they may update.
    pub(super) async fn file_find(&self, subject: &Subject, id: FileId) -> Result<file::Model> {
        let file = store::file::find(&self.store, id).await?.ok_or(Error::NotFound(Kind::File))?;
        if allowed(subject, Action::Read, &Object::site(Resource::File).owned_by(file.created_by)) {
            return Ok(file);
        }
        if !subject.scope.permits(Resource::File, Action::Read) {
            return Err(Error::NotFound(Kind::File));
        }
        let organizations = store::file::template_organizations(&self.store, id).await?;
        let updates = |id| allowed(subject, Action::Update, &Object::of(Resource::Template, id));
        if organizations.into_iter().any(updates) { Ok(file) } else { Err(Error::NotFound(Kind::File)) }
    }
}

/// A file is of no organization yet: whoever may upload in any, may.
fn may_upload(subject: &Subject) -> bool {
    let of_organizations = subject.organizations.keys().map(|id| Object::of(Resource::File, *id));
    std::iter::once(Object::site(Resource::File))
        .chain(of_organizations)
        .any(|object| allowed(subject, Action::Create, &object))
}

/// What comes for as long as it keeps coming.
fn timely<S>(pieces: S) -> impl Stream<Item = Result<Vec<u8>>> + Send + Unpin
where
    S: Stream<Item = Result<Vec<u8>>> + Send + Unpin,
{
    let end = Instant::now() + LONGEST;
    Box::pin(stream::unfold(Some(pieces), move |pieces| async move {
        let mut pieces = pieces?;
        match timeout_at(end.min(Instant::now() + IDLE), pieces.next()).await {
            Ok(piece) => Some((piece?, Some(pieces))),
            Err(_) => Some((Err(Error::invalid("data", "must keep coming, and have come within 15 minutes")), None)),
        }
    }))
}

/// A tar, checked while it comes in.
async fn spool_tar<S>(mut pieces: S) -> Result<Spooled>
where
    S: Stream<Item = Result<Vec<u8>>> + Send + Unpin,
{
    let (mut spool, mut check) = (Spool::new().await?, Check::default());
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        check.feed(&piece).map_err(archive::refused)?;
        spool.write(&piece).await?;
    }
    check.finish().map_err(archive::refused)?;
    spool.finish().await
}

/// A zip, to be looked at when it is whole.
async fn spool_zip<S>(mut pieces: S) -> Result<Spooled>
where
    S: Stream<Item = Result<Vec<u8>>> + Send + Unpin,
{
    let mut spool = Spool::new().await?;
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        if spool.size() + piece.len() as u64 > MAX_SIZE {
            return Err(archive::refused(Fault::Large));
        }
        spool.write(&piece).await?;
    }
    spool.finish().await
}

#[cfg(test)]
mod tests;

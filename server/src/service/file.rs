//! Archives of template sources.

use futures_util::{Stream, StreamExt as _};

use super::archive::{self, Pieces};
use super::{Caller, Service};
use crate::domain::archive::{Check, Fault, MAX_SIZE};
use crate::domain::error::Kind;
use crate::domain::id::FileId;
use crate::domain::permission::{Action, Object, Resource, Subject, allowed};
use crate::domain::{Error, Result};
use crate::store;
use crate::store::entity::file;

use super::spool::{Spool, Spooled};

/// The kind of archive that is stored.
const TAR: &str = "application/x-tar";
/// What is made a tar of, by the names that clients use.
const ZIP: [&str; 2] = ["application/zip", "application/x-zip-compressed"];

impl Service {
    /// Stores an archive, a zip as the tar with the same files; nothing of a refused one. Also says whether it is new: the
    /// same content of the same user keeps its id.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::Invalid`] and [`Error::TooLarge`] with what is wrong with the archive, or what the
    /// stream gives.
    pub async fn file_upload<S>(&self, caller: &Caller, content_type: &str, pieces: S) -> Result<(file::Model, bool)>
    where
        S: Stream<Item = Result<Vec<u8>>> + Send + Unpin,
    {
        let subject = caller.user()?;
        if !may_upload(subject) {
            return Err(Error::Denied);
        }
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
        tx.commit().await?;
        Ok(stored)
    }

    /// A file's bytes in pieces of at most 1 MiB: as they are stored, or as a zip with the same files.
    ///
    /// # Errors
    /// [`Error::Invalid`], or [`Error::NotFound`] for a file that the caller may not read.
    pub async fn file_download(&self, caller: &Caller, id: &str, format: &str) -> Result<Pieces> {
        let subject = caller.user()?;
        let id = FileId::parse(id).ok_or_else(|| Error::invalid("file", "must be a UUID"))?;
        if !matches!(format, "" | "tar" | "zip") {
            return Err(Error::invalid("format", "must be `tar` or `zip`"));
        }
        let file = self.file_find(subject, id).await?;
        let rows = futures_util::stream::try_unfold(
            (self.store.clone(), file.sha256, 0),
            async |(store, sha256, position)| {
                let chunk = store::blob::chunk(&store, &sha256, position).await?;
                Ok(chunk.map(|chunk| (chunk, (store, sha256, position + 1))))
            },
        );
        if format == "zip" { self.archives.zip_of(Box::pin(rows)).await } else { Ok(Box::pin(rows)) }
    }

    /// A file that the caller may read and make versions of: their own, or one of a template that they may update.
    pub(super) async fn file_find(&self, subject: &Subject, id: FileId) -> Result<file::Model> {
        let file = store::file::find(&self.store, id).await?.ok_or(Error::NotFound(Kind::File))?;
        if allowed(subject, Action::Read, &Object::site(Resource::File).owned_by(file.created_by)) {
            return Ok(file);
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

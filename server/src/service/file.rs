//! Archives of template sources.

use futures_util::{Stream, StreamExt as _};

use super::spool::{Spool, Spooled};
use super::{Caller, Service};
use crate::domain::archive::{Check, Fault};
use crate::domain::error::Kind;
use crate::domain::id::FileId;
use crate::domain::permission::{Action, Object, Resource, Subject, allowed};
use crate::domain::{Error, Result};
use crate::store;
use crate::store::entity::file;

/// The kind of archive that is taken.
const TAR: &str = "application/x-tar";

impl Service {
    /// Stores an archive, checked while it comes in; nothing of a refused one. Also says whether it is new: the same
    /// content of the same user keeps its id.
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
        if content_type != TAR {
            return Err(Error::invalid("content_type", format!("must be `{TAR}`")));
        }
        let Spooled { file, sha256, size } = spool(pieces).await?;
        let tx = self.store.begin().await?;
        store::blob::insert_from(&tx, &sha256, size, file).await?;
        let stored = store::file::insert(&tx, &sha256, TAR, subject.user_id).await?;
        tx.commit().await?;
        Ok(stored)
    }

    /// A file that the caller may make versions of: their own, or one of a template that they may update.
    pub(super) async fn file_for_version(&self, subject: &Subject, id: FileId) -> Result<file::Model> {
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

/// The archive, checked while it comes in.
async fn spool<S>(mut pieces: S) -> Result<Spooled>
where
    S: Stream<Item = Result<Vec<u8>>> + Send + Unpin,
{
    let (mut spool, mut check) = (Spool::new().await?, Check::default());
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        check.feed(&piece).map_err(refused)?;
        spool.write(&piece).await?;
    }
    check.finish().map_err(refused)?;
    spool.finish().await
}

fn refused(fault: Fault) -> Error {
    match fault {
        Fault::Large => Error::TooLarge { what: "The archive", limit: "100 MiB" },
        Fault::LargeUnpacked => Error::TooLarge { what: "The unpacked archive", limit: "100 MiB" },
        Fault::Entries => Error::TooLarge { what: "The number of the archive's entries", limit: "10000" },
        fault => Error::invalid("archive", format!("The archive {fault}.")),
    }
}

#[cfg(test)]
mod tests;

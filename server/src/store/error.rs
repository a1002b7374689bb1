//! The only reader of database errors.

use std::path::PathBuf;

use sea_orm::{DbErr, RuntimeErr, SqlErr};

use crate::domain::Error;
use crate::domain::error::Kind;

/// Why a store couldn't be opened.
#[derive(Debug, thiserror::Error)]
pub enum Open {
    /// Neither SQLite nor PostgreSQL.
    #[error("the database URL must start with `sqlite:///` (an absolute path follows) or `postgres://`")]
    Url,
    /// Nobody answers, or not to these credentials.
    #[error("can't connect to the database")]
    Connect(#[source] DbErr),
    /// The schema can't be brought up to date.
    #[error("can't bring the database's schema up to date; a newer server may have used it")]
    Migration(#[source] DbErr),
    /// A file or folder can't be used.
    #[error("can't use {path}")]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// Two servers on one SQLite file.
    #[error("another server is using {0}; several servers need PostgreSQL")]
    Locked(PathBuf),
    /// The database was sealed with another key.
    #[error("the sealing key isn't the one that this database was sealed with")]
    SealingKey,
    /// Anything else.
    #[error(transparent)]
    Store(Error),
}

/// What a database error means when no constraint is expected to be broken.
pub fn from_db(error: DbErr) -> Error {
    if is_unavailable(&error) { Error::Unavailable(Box::new(error)) } else { Error::Internal(Box::new(error)) }
}

/// The same where a unique name may be taken: that becomes [`Error::AlreadyExists`].
pub fn name_taken(kind: Kind, name: &str, field: &'static str) -> impl FnOnce(DbErr) -> Error {
    move |error| match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(_)) => Error::AlreadyExists { kind, name: name.to_owned(), field },
        _ => from_db(error),
    }
}

/// Whether the error says that the unique index of this name, which must not be another's start, is broken.
pub fn is_unique(error: &DbErr, index: &str) -> bool {
    // Both databases name the index in their message; for an index over an expression they name nothing else.
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(message)) if message.contains(index))
}

/// What PostgreSQL says when it stops, has crashed, starts, or has no room for one more connection.
const AWAY: [&str; 4] = ["57P01", "57P02", "57P03", "53300"];

/// The connection is lost, refused or exhausted; the same call may work in a moment.
fn is_unavailable(error: &DbErr) -> bool {
    match error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => true,
        DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause)) => match &**cause {
            sea_orm::SqlxError::Io(_) | sea_orm::SqlxError::PoolTimedOut | sea_orm::SqlxError::PoolClosed => true,
            sea_orm::SqlxError::Database(told) => told.code().is_some_and(|code| AWAY.contains(&&*code)),
            _ => false,
        },
        _ => false,
    }
}

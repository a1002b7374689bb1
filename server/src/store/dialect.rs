//! The only place where SQLite and PostgreSQL differ.

use std::path::PathBuf;

use sea_orm::DbBackend;

/// Which database a deployment has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Embedded, for one server.
    Sqlite,
    /// Shared by the servers of a deployment.
    Postgres,
}

impl Dialect {
    /// By the URL's scheme; `None` for any other.
    #[must_use]
    pub fn of_url(url: &str) -> Option<Self> {
        match url.split_once(':')?.0 {
            "sqlite" => Some(Self::Sqlite),
            "postgres" | "postgresql" => Some(Self::Postgres),
            _ => None,
        }
    }

    /// The file of a SQLite URL.
    #[must_use]
    pub fn file_of_url(self, url: &str) -> Option<PathBuf> {
        let rest = url.strip_prefix("sqlite:")?;
        let path = rest.strip_prefix("//").unwrap_or(rest);
        Some(PathBuf::from(path.split_once('?').map_or(path, |(path, _)| path)))
    }

    /// SeaORM's name for it.
    #[must_use]
    pub fn backend(self) -> DbBackend {
        match self {
            Self::Sqlite => DbBackend::Sqlite,
            Self::Postgres => DbBackend::Postgres,
        }
    }

    /// An expression: the current time in microseconds. Not the transaction's start, which may be long ago.
    #[must_use]
    pub fn now(self) -> &'static str {
        match self {
            Self::Sqlite => "CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
            Self::Postgres => "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS bigint)",
        }
    }

    /// Appended to the select of rows to claim: passes over rows that another server is claiming. SQLite has one writer.
    #[must_use]
    pub fn skip_locked(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => "FOR NO KEY UPDATE SKIP LOCKED",
        }
    }

    /// Tells other servers something: a channel and a text. SQLite serves one.
    #[must_use]
    pub fn notify(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some("SELECT pg_notify($1, $2)"),
        }
    }

    /// Appended to a select: holds the rows until the transaction ends. SQLite has one writer. Keys stay free: a row that
    /// refers to a held one may be inserted meanwhile, as a log's is.
    #[must_use]
    pub fn for_update(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => "FOR NO KEY UPDATE",
        }
    }
}

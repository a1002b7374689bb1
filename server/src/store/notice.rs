//! What the servers of a deployment tell each other: that there is something to look at, never what it is. PostgreSQL
//! carries it; a server on SQLite is alone.

use std::fmt;

use sea_orm::sqlx::postgres::PgListener;
use uuid::Uuid;

use super::{Access as _, Store};
use crate::domain::id::JobId;
use crate::domain::{Error, Result};

const CHANNEL: &str = "orgplane";

/// Something to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// Jobs wait. It names its sender, who knows.
    Work(Uuid),
    /// Somebody wants a job to stop.
    Cancel(JobId),
    /// A provisioner key ended.
    Keys,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Work(sender) => write!(f, "work {sender}"),
            Self::Cancel(job) => write!(f, "cancel {job}"),
            Self::Keys => f.write_str("keys"),
        }
    }
}

impl Notice {
    /// As it is displayed; `None` for what this version doesn't know.
    fn parse(text: &str) -> Option<Self> {
        match text.split_once(' ') {
            Some(("work", sender)) => Uuid::try_parse(sender).ok().map(Self::Work),
            Some(("cancel", job)) => JobId::parse(job).map(Self::Cancel),
            None if text == "keys" => Some(Self::Keys),
            Some(_) | None => None,
        }
    }
}

/// Tells the other servers, in a transaction of its own: within one that writes, it would make all commits of the
/// database wait for each other.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn send(store: &Store, notice: Notice) -> Result<()> {
    match store.dialect().notify() {
        Some(sql) => store.execute(sql, [CHANNEL.into(), notice.to_string().into()]).await.map(|_| ()),
        None => Ok(()),
    }
}

/// Hears what the servers tell each other, its own server included, over a connection of its own.
#[derive(Debug)]
pub struct Listener(PgListener);

impl Listener {
    /// Hears everything that is said from now on.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database can't be reached.
    pub async fn open(url: &str) -> Result<Self> {
        let mut listener = PgListener::connect(url).await.map_err(unavailable)?;
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await.map_err(unavailable)?;
        Ok(Self(listener))
    }

    /// The next notice; `None` for one that this version doesn't know.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the connection broke: nobody knows what was said since.
    pub async fn next(&mut self) -> Result<Option<Notice>> {
        match self.0.try_recv().await.map_err(unavailable)? {
            Some(notification) => Ok(Notice::parse(notification.payload())),
            None => Err(Error::Unavailable("the connection that hears of other servers broke".into())),
        }
    }
}

fn unavailable(error: sea_orm::sqlx::Error) -> Error {
    Error::Unavailable(Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_understood() {
        for notice in [Notice::Work(Uuid::new_v4()), Notice::Cancel(JobId::new()), Notice::Keys] {
            assert_eq!(Notice::parse(&notice.to_string()), Some(notice));
        }
        for unknown in ["", "work", "work x", "cancel ", "keys x", "later 1"] {
            assert_eq!(Notice::parse(unknown), None, "{unknown:?}");
        }
    }
}

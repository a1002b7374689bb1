//! Calls that last: the log of a job until its end, a workspace as it changes.

use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use tokio::time::{Instant, sleep, sleep_until};

use super::feed::{self, Feed};
use super::provisioner_job::{LogQuery, LogReader};
use super::workspace::WorkspaceView;
use super::{Caller, Service};
use crate::domain::error::Kind;
use crate::domain::id::WorkspaceId;
use crate::domain::job::{LogLine, LogStanding};
use crate::domain::{Error, Result};

/// Streams that one user has open at a time on one server.
pub(super) const EACH: usize = 64;
/// How often is looked whether the caller may still see it.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// A stream without news shows so often that it lives: proxies cut silent ones.
const SILENCE: Duration = Duration::from_secs(15);
/// A database that is away for no longer ends no stream.
const OUTAGE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_secs(1);

impl Service {
    /// A log as [`Self::job_log`] reads it, and its lines as they come, until the job has ended and its last line is
    /// given. No lines: nothing has come for a while.
    ///
    /// # Errors
    /// Those of [`Self::job_log`], [`Error::Crowded`] and [`Error::TooMany`].
    pub async fn job_log_follow(
        self: &Arc<Self>,
        caller: Caller,
        query: LogQuery,
    ) -> Result<impl Stream<Item = Result<Vec<(i64, LogLine)>>> + Send + use<>> {
        let reader = self.job_log(&caller, &query).await?;
        let permits = (self.news.admit()?, self.followers.take(caller.user()?.user_id)?);
        let service = self.clone();
        Ok(feed::start(self.news.stop.clone(), async move |feed| {
            let _permits = permits;
            service.lines_into(&feed, Vigil::new(caller), &query, reader).await
        }))
    }

    async fn lines_into(
        &self,
        feed: &Feed<Vec<(i64, LogLine)>>,
        mut vigil: Vigil,
        query: &LogQuery,
        mut reader: LogReader,
    ) -> Result<()> {
        let mut news = self.news.logs.follow(reader.job);
        let mut standing = None;
        loop {
            if vigil.check_is_due() {
                let checked = async {
                    let caller = self.session_again(&vigil.caller).await?;
                    self.job_log(&caller, query).await.map(|_| caller)
                };
                let checked = checked.await;
                let Some(caller) = vigil.endure(checked).await? else { continue };
                vigil.checked(caller);
            }
            if standing.is_none_or(|known: LogStanding| known.last_number > reader.after) {
                feed.room().await?;
                let lines = self.job_log_next(&mut reader).await;
                let Some(lines) = vigil.endure(lines).await? else { continue };
                if !lines.is_empty() {
                    feed.send(lines).await?;
                    vigil.said();
                    continue;
                }
            }
            if let Some(known) = standing {
                if known.ended {
                    return Ok(());
                }
                // Lines beyond the log's limit aren't there to be read.
                reader.after = reader.after.max(known.last_number);
            }
            tokio::select! {
                changed = news.changed() => {
                    changed.map_err(|_| Error::NotFound(Kind::Job))?;
                    standing = *news.borrow_and_update();
                }
                () = sleep_until(vigil.next_check) => {}
                () = sleep_until(vigil.next_sign) => {
                    feed.send(Vec::new()).await?;
                    vigil.said();
                }
            }
        }
    }

    /// A workspace as it is, then whenever something of it has changed. None: nothing has for a while.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::WorkspaceGone`], [`Error::Crowded`], [`Error::TooMany`].
    pub async fn workspace_watch(
        self: &Arc<Self>,
        caller: Caller,
        id: &str,
    ) -> Result<impl Stream<Item = Result<Option<WorkspaceView>>> + Send + use<>> {
        let first = self.workspace_get(&caller, id, false).await?;
        let permits = (self.news.admit()?, self.followers.take(caller.user()?.user_id)?);
        let service = self.clone();
        Ok(feed::start(self.news.stop.clone(), async move |feed| {
            let _permits = permits;
            service.changes_into(&feed, Vigil::new(caller), first).await
        }))
    }

    async fn changes_into(
        &self,
        feed: &Feed<Option<WorkspaceView>>,
        mut vigil: Vigil,
        first: WorkspaceView,
    ) -> Result<()> {
        let id: WorkspaceId = first.workspace.id;
        let mut news = self.news.workspaces.follow(id);
        let mut told = first.clone();
        feed.send(Some(first)).await?;
        loop {
            tokio::select! {
                changed = news.changed() => {
                    changed.map_err(|_| Error::NotFound(Kind::Workspace))?;
                    news.borrow_and_update();
                }
                () = sleep_until(vigil.next_check) => {
                    let caller = self.session_again(&vigil.caller).await;
                    let Some(caller) = vigil.endure(caller).await? else { continue };
                    vigil.checked(caller);
                }
                () = sleep_until(vigil.next_sign) => {
                    feed.send(None).await?;
                    vigil.said();
                    continue;
                }
            }
            let view = self.workspace_get(&vigil.caller, &id.to_string(), true).await;
            // What was missed meanwhile is found at the next check.
            let Some(view) = vigil.endure(view).await? else { continue };
            if view != told {
                told = view.clone();
                feed.send(Some(view)).await?;
                vigil.said();
            }
        }
    }
}

/// What a call that lasts has to keep an eye on.
struct Vigil {
    caller: Caller,
    next_check: Instant,
    next_sign: Instant,
    /// Since when the database is away.
    away: Option<Instant>,
}

impl Vigil {
    fn new(caller: Caller) -> Self {
        let now = Instant::now();
        Self { caller, next_check: now + CHECK_INTERVAL, next_sign: now + SILENCE, away: None }
    }

    fn check_is_due(&self) -> bool {
        Instant::now() >= self.next_check
    }

    fn checked(&mut self, caller: Caller) {
        self.caller = caller;
        self.next_check = Instant::now() + CHECK_INTERVAL;
    }

    fn said(&mut self) {
        self.next_sign = Instant::now() + SILENCE;
    }

    /// Nothing, after a pause, when the database is away, unless it has been for too long.
    async fn endure<T>(&mut self, done: Result<T>) -> Result<Option<T>> {
        match done {
            Ok(done) => {
                self.away = None;
                Ok(Some(done))
            }
            Err(Error::Unavailable(cause)) => {
                if self.away.get_or_insert_with(Instant::now).elapsed() > OUTAGE {
                    return Err(Error::Unavailable(cause));
                }
                sleep(PAUSE).await;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

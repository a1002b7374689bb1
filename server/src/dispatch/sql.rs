//! The queue that a deployment has: its database.

use std::sync::Arc;

use async_trait::async_trait;

use super::news::News;
use super::queue::JobQueue;
use crate::domain::Result;
use crate::domain::id::{JobId, OrganizationId};
use crate::domain::job::{
    CancelOutcome, Claimed, Discovery, Finished, Fits, Group, Hold, Live, LogBatch, Permit, Reaped, Rejection, Report,
    Resumed, Slot, StateReference, Status, Terms,
};
use crate::store::{Store, job_log, job_queue};

/// Each call is one transaction.
#[derive(Debug)]
pub struct SqlQueue {
    store: Store,
    terms: Terms,
    news: Arc<News>,
}

impl SqlQueue {
    /// Over a store; followers hear of what it does.
    #[must_use]
    pub fn new(store: Store, terms: Terms, news: Arc<News>) -> Self {
        Self { store, terms, news }
    }
}

/// Runs `$call` in a transaction `$tx`, commits what it did and lets followers look.
macro_rules! in_transaction {
    ($self:ident, |$tx:ident| $call:expr) => {{
        let $tx = $self.store.begin().await?;
        let done = $call.await?;
        $tx.commit().await?;
        $self.news.jobs_changed();
        Ok(done)
    }};
}

#[async_trait]
impl JobQueue for SqlQueue {
    async fn groups(&self, organizations: &[OrganizationId], fits: Fits<'_>) -> Result<Vec<Group>> {
        job_queue::groups(&self.store, organizations, fits).await
    }

    async fn claim(&self, group: &Group, slots: &[Slot]) -> Result<Vec<Claimed>> {
        in_transaction!(self, |tx| job_queue::claim(&tx, group, slots, self.terms.lease))
    }

    async fn renew(&self, holds: &[Hold]) -> Result<Vec<Live>> {
        in_transaction!(self, |tx| job_queue::renew(&tx, holds, self.terms))
    }

    async fn live(&self, holds: &[Hold]) -> Result<Vec<Live>> {
        job_queue::live(&self.store, holds).await
    }

    async fn resume(&self, organization: OrganizationId, holds: &[Hold]) -> Result<Vec<Resumed>> {
        in_transaction!(self, |tx| job_queue::resume(&tx, organization, holds, self.terms))
    }

    async fn append(&self, hold: &Hold, batch: LogBatch) -> Result<i64> {
        let tx = self.store.begin().await?;
        let stored = job_log::append(&tx, hold, batch, self.terms.log_limit).await?;
        tx.commit().await?;
        self.news.logs.changed(&hold.job);
        Ok(stored)
    }

    async fn discovered(&self, hold: &Hold, discovery: &Discovery) -> Result<()> {
        in_transaction!(self, |tx| job_queue::discovered(&tx, hold, discovery))
    }

    async fn permit(&self, hold: &Hold, daily_cost: i32) -> Result<Permit> {
        in_transaction!(self, |tx| job_queue::permit(&tx, hold, daily_cost, self.terms))
    }

    async fn checkpoint(&self, hold: &Hold, state: &StateReference) -> Result<i64> {
        in_transaction!(self, |tx| job_queue::checkpoint(&tx, hold, state))
    }

    async fn give_back(&self, hold: &Hold, reason: Rejection) -> Result<bool> {
        in_transaction!(self, |tx| job_queue::give_back(&tx, hold, reason, self.terms))
    }

    async fn missed(&self, hold: &Hold) -> Result<()> {
        in_transaction!(self, |tx| job_queue::missed(&tx, hold, self.terms))
    }

    async fn finish(&self, organization: OrganizationId, hold: &Hold, report: &Report) -> Result<Finished> {
        in_transaction!(self, |tx| job_queue::hand_in(&tx, organization, hold, report, self.terms))
    }

    async fn fail(&self, hold: &Hold, reason: &str) -> Result<Finished> {
        in_transaction!(self, |tx| job_queue::fail(&tx, hold, reason, self.terms))
    }

    async fn request_cancel(&self, job: JobId, expected: Option<Status>) -> Result<CancelOutcome> {
        in_transaction!(self, |tx| job_queue::request_cancel(&tx, job, expected, self.terms))
    }

    async fn release(&self, job: JobId, by: &str) -> Result<()> {
        in_transaction!(self, |tx| job_queue::release(&tx, job, by, self.terms))
    }

    async fn reap(&self) -> Result<Vec<Reaped>> {
        in_transaction!(self, |tx| job_queue::reap(&tx, self.terms))
    }
}

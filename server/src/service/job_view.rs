//! Jobs, as those see them who look at what the jobs are for.

use std::collections::BTreeMap;

use super::Service;
use crate::domain::Result;
use crate::domain::id::JobId;
use crate::domain::job::{CancelOutcome, Status};
use crate::store;
use crate::store::entity::provisioner_job;

/// A job with what clients are told about it.
#[derive(Debug, Clone)]
pub struct JobView {
    /// The job.
    pub job: provisioner_job::Model,
    /// Its log reached its cap and was cut.
    pub logs_overflowed: bool,
}

impl Service {
    /// These jobs by their ids.
    pub(super) async fn job_views(&self, ids: Vec<JobId>) -> Result<BTreeMap<JobId, JobView>> {
        let overflowed = store::provisioner_job::overflowed(&self.store, ids.clone()).await?;
        let jobs = store::provisioner_job::find_many(&self.store, ids).await?;
        let view = |job: provisioner_job::Model| {
            let logs_overflowed = overflowed.contains(&job.id);
            (job.id, JobView { job, logs_overflowed })
        };
        Ok(jobs.into_iter().map(view).collect())
    }

    /// Wants a job to stop, if it is in the expected status where one is named; its daemon is told at once.
    pub(super) async fn job_stop(&self, id: JobId, expected: Option<Status>) -> Result<()> {
        let tx = self.store.begin().await?;
        let outcome = store::job_queue::request_cancel(&tx, id, expected, (&self.provisioners).into()).await?;
        tx.commit().await?;
        if let CancelOutcome::Canceling(hold) = outcome {
            self.dispatcher.cancel(&hold);
        }
        Ok(())
    }
}

//! Jobs, as those see them who look at what the jobs are for.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::Service;
use crate::domain::error::chain;
use crate::domain::id::{DaemonId, JobId, OrganizationId};
use crate::domain::job::{CancelOutcome, Group, Standing, Status, Taker, Terms, lines};
use crate::domain::{Result, Timestamp};
use crate::store;
use crate::store::entity::{provisioner_daemon, provisioner_job};
use crate::store::notice::Notice;

/// A daemon that wasn't heard of for this long isn't counted among those that could take a job.
const REMEMBERED: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A job with what clients are told about it.
#[derive(Debug, Clone, PartialEq)]
pub struct JobView {
    /// The job.
    pub job: provisioner_job::Model,
    /// Its place while it waits.
    pub standing: Standing,
    /// Its log was cut.
    pub logs_overflowed: bool,
    /// Who could take it, while it waits.
    pub matched: Option<Matched>,
    /// Since when nothing was heard of the daemon that has it, if that is too long ago.
    pub silent_since: Option<Timestamp>,
}

/// The daemons that could take a job.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Matched {
    /// All, by age.
    pub daemons: Vec<DaemonId>,
    /// How many of them are connected.
    pub available: i32,
    /// When one of them was last heard of.
    pub most_recently_seen: Option<Timestamp>,
}

impl Service {
    /// Jobs with what clients are told about them, by their ids, in a constant number of queries.
    pub(super) async fn job_views(&self, ids: Vec<JobId>) -> Result<HashMap<JobId, JobView>> {
        let jobs = store::provisioner_job::find_many(&self.store, ids).await?;
        let views = self.views_of(jobs).await?;
        Ok(views.into_iter().map(|view| (view.job.id, view)).collect())
    }

    /// The same for jobs that were read already, in their order.
    pub(super) async fn views_of(&self, jobs: Vec<provisioner_job::Model>) -> Result<Vec<JobView>> {
        let overflowed = store::provisioner_job::overflowed(&self.store, jobs.iter().map(|job| job.id).collect());
        let overflowed = overflowed.await?;
        let waiting: Vec<_> = jobs.iter().filter(|job| job.status == Status::Pending).collect();
        let organizations: HashSet<_> = waiting.iter().map(|job| job.organization_id).collect();
        let organizations: Vec<OrganizationId> = organizations.into_iter().collect();
        let now = if jobs.iter().any(|job| job.status.is_active()) { self.store.now().await? } else { Timestamp(0) };
        let terms = Terms::from(&self.provisioners);
        let (daemons, places, live_since) = if organizations.is_empty() {
            (Vec::new(), HashMap::new(), Timestamp(0))
        } else {
            let live_since = now.minus(self.provisioners.contact_lost_after);
            let groups = store::job_queue::waiting_groups(&self.store, &organizations).await?;
            let daemons =
                store::provisioner_daemon::of_organizations(&self.store, organizations, now.minus(REMEMBERED)).await?;
            let live = daemons.iter().filter(|daemon| daemon.is_live(live_since));
            let lines = lines(&groups, &live.map(taker).collect::<Vec<_>>());
            let of_group: HashMap<&Group, usize> =
                groups.iter().zip(&lines.of_group).filter_map(|(group, line)| Some((group, (*line)?))).collect();
            let line = |job: &&provisioner_job::Model| Some((job.id, *of_group.get(&group(job))?));
            let asked: Vec<_> = waiting.iter().filter_map(line).collect();
            let places = store::job_queue::standings(&self.store, &groups, &lines, &asked).await?;
            (daemons, places, live_since)
        };
        let view = |job: provisioner_job::Model| {
            let pending = job.status == Status::Pending;
            JobView {
                standing: places.get(&job.id).copied().filter(|_| pending).unwrap_or_default(),
                logs_overflowed: overflowed.contains(&job.id),
                matched: pending.then(|| matched(&job, &daemons, live_since)),
                silent_since: job.silent_since(terms, now),
                job,
            }
        };
        Ok(jobs.into_iter().map(view).collect())
    }

    /// The daemons that could take a job, whether or not it waits.
    pub(super) async fn job_matched(&self, job: &provisioner_job::Model) -> Result<Matched> {
        let now = self.store.now().await?;
        let since = now.minus(REMEMBERED);
        let daemons =
            store::provisioner_daemon::of_organizations(&self.store, vec![job.organization_id], since).await?;
        Ok(matched(job, &daemons, now.minus(self.provisioners.contact_lost_after)))
    }

    /// Wants a job to stop, if it is in the expected status where one is named. Whoever calls has authorized this.
    pub(crate) async fn job_stop(&self, id: JobId, expected: Option<Status>) -> Result<()> {
        match self.dispatcher.queue().request_cancel(id, expected).await? {
            CancelOutcome::Canceling(hold) => {
                if !self.dispatcher.cancel(&hold) {
                    tracing::info!(job = %id, "the job's daemon isn't connected here; it is told elsewhere, or when it comes back");
                }
                self.tell_servers(Notice::Cancel(id)).await;
            }
            CancelOutcome::Ended => {}
        }
        Ok(())
    }
}

impl Service {
    /// Tells the other servers something that they would find later by themselves.
    pub(super) async fn tell_servers(&self, notice: Notice) {
        if let Err(error) = store::notice::send(&self.store, notice).await {
            tracing::warn!(error = %chain(&error), ?notice, "can't tell other servers");
        }
    }
}

fn taker(daemon: &provisioner_daemon::Model) -> Taker {
    Taker {
        organization: daemon.organization_id,
        engines: daemon.engines.0.iter().copied().collect(),
        tags: daemon.tags.clone(),
    }
}

fn group(job: &provisioner_job::Model) -> Group {
    Group { organization: job.organization_id, engine: job.engine, tags: job.tags.clone() }
}

fn matched(job: &provisioner_job::Model, daemons: &[provisioner_daemon::Model], live_since: Timestamp) -> Matched {
    let group = group(job);
    let mut matched = Matched::default();
    for daemon in daemons.iter().filter(|daemon| taker(daemon).takes(&group)) {
        matched.daemons.push(daemon.id);
        matched.available += i32::from(daemon.is_live(live_since));
        matched.most_recently_seen = matched.most_recently_seen.max(daemon.last_seen_at);
    }
    matched
}

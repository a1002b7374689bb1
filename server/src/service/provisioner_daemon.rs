//! Daemons, as people see them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Caller, Service};
use crate::domain::error::Kind;
use crate::domain::go_duration;
use crate::domain::id::{DaemonId, ProvisionerKeyId};
use crate::domain::permission::{Action, Object, Resource, authorize};
use crate::domain::rule::Violations;
use crate::domain::tags::{self, Tags, job_matches};
use crate::domain::{Result, Timestamp, page};
use crate::store;
use crate::store::entity::{provisioner_daemon, provisioner_job};
use crate::store::job_names::JobNames;

/// What a daemon is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DaemonStatus {
    /// Nothing was heard of it lately, or it ended.
    Offline,
    /// It has no job.
    Idle,
    /// It has one.
    Busy,
}

/// A daemon with what clients are told about it.
#[derive(Debug, Clone)]
pub struct DaemonView {
    /// The daemon.
    pub daemon: provisioner_daemon::Model,
    /// Its key's name.
    pub key_name: String,
    /// What it is doing.
    pub status: DaemonStatus,
    /// The job that it has.
    pub current: Option<DaemonJob>,
    /// The last one that it finished.
    pub previous: Option<DaemonJob>,
}

/// A job of a daemon.
#[derive(Debug, Clone)]
pub struct DaemonJob {
    /// The job.
    pub job: provisioner_job::Model,
    /// What it is about.
    pub names: Option<JobNames>,
}

/// Which daemons a list is of, as a client asks for it.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)]
pub struct DaemonQuery {
    pub organization: String,
    pub limit: i32,
    pub ids: Vec<String>,
    pub statuses: BTreeSet<DaemonStatus>,
    pub offline: bool,
    pub tags: BTreeMap<String, String>,
    pub max_age: String,
}

impl Service {
    /// An organization's daemons, newest first; those that are offline only when asked for.
    ///
    /// # Errors
    /// [`crate::domain::Error::Invalid`], or [`crate::domain::Error::NotFound`] when the caller may not see them.
    pub async fn daemon_list(&self, caller: &Caller, query: DaemonQuery) -> Result<Vec<DaemonView>> {
        let subject = caller.user()?;
        let organization = self.organization_resolve(caller, &query.organization).await?;
        let object = Object::of(Resource::ProvisionerJobs, organization.id);
        authorize(subject, Action::Read, &object, Kind::Daemon)?;
        let mut violations = Violations::default();
        let limit = usize::try_from(page::bounded(query.limit, &mut violations)).unwrap_or(usize::MAX);
        let ids = page::ids(&query.ids, DaemonId::parse, &mut violations);
        violations.check("tags", tags::requested(&query.tags));
        let max_age = go_duration::parse(&query.max_age);
        if max_age.is_none() && !query.max_age.is_empty() {
            violations.add("max_age", "must be a duration, such as `1h` or `90s`");
        }
        violations.finish()?;

        let now = self.store.now().await?;
        let seen_since = max_age.map(|age| now.minus(age));
        let mut daemons = store::provisioner_daemon::list(&self.store, organization.id, ids, seen_since).await?;
        if !query.tags.is_empty() {
            let wanted = Tags::of_job(&query.tags, subject.user_id);
            daemons.retain(|daemon| job_matches(&wanted, &daemon.tags));
        }
        let live_since = now.minus(self.provisioners.contact_lost_after);
        let with_offline = query.offline || query.statuses.contains(&DaemonStatus::Offline);
        if !with_offline {
            daemons.retain(|daemon| daemon.is_live(live_since));
        }
        let mut views = self.daemon_views(daemons, live_since).await?;
        if !query.statuses.is_empty() {
            views.retain(|view| query.statuses.contains(&view.status));
        }
        views.truncate(limit);
        Ok(views)
    }

    async fn daemon_views(
        &self,
        daemons: Vec<provisioner_daemon::Model>,
        live_since: Timestamp,
    ) -> Result<Vec<DaemonView>> {
        let ids: Vec<_> = daemons.iter().map(|daemon| daemon.id).collect();
        let jobs = store::provisioner_job::newest_of_workers(&self.store, &ids).await?;
        let job_ids: Vec<_> = jobs.iter().map(|job| job.id).collect();
        let mut names = store::job_names::find(&self.store, &job_ids).await?;
        let mut current = HashMap::new();
        let mut previous = HashMap::new();
        for job in jobs {
            let Some(worker) = job.worker_id else { continue };
            let of = if job.status.is_leased() { &mut current } else { &mut previous };
            let names = names.remove(&job.id);
            of.insert(worker, DaemonJob { job, names });
        }
        let keys: BTreeSet<ProvisionerKeyId> = daemons.iter().map(|daemon| daemon.key_id).collect();
        let key_names = store::provisioner_daemon::key_names(&self.store, keys.into_iter().collect()).await?;
        let view = |daemon: provisioner_daemon::Model| {
            let current = current.remove(&daemon.id);
            let status = match (&current, daemon.is_live(live_since)) {
                (_, false) => DaemonStatus::Offline,
                (Some(_), true) => DaemonStatus::Busy,
                (None, true) => DaemonStatus::Idle,
            };
            DaemonView {
                key_name: key_names.get(&daemon.key_id).cloned().unwrap_or_default(),
                status,
                current,
                previous: previous.remove(&daemon.id),
                daemon,
            }
        };
        Ok(daemons.into_iter().map(view).collect())
    }
}

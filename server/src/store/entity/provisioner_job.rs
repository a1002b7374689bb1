//! `provisioner_job`: the work that daemons do.

use sea_orm::entity::prelude::*;

use crate::domain::Timestamp;
use crate::domain::engine::Engine;
use crate::domain::id::{BuildId, DaemonId, FileId, JobId, OrganizationId, TemplateVersionId, UserId};
use crate::domain::job::{ErrorCode, Input, JobType, Lease, LeaseId, State, Status, Terms};
use crate::domain::tags::Tags;

/// A job.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "provisioner_job")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: JobId,
    /// Whose daemons do it.
    pub organization_id: OrganizationId,
    /// Who asked for it.
    pub initiator_id: UserId,
    /// What kind of work it is.
    #[sea_orm(column_name = "type")]
    pub job_type: JobType,
    /// What does it.
    pub engine: Engine,
    /// Which daemons may.
    pub tags: Tags,
    /// Nobody waits for it.
    pub automatic: bool,
    /// The template's source.
    pub file_id: FileId,
    /// What an import or a dry run is of.
    pub template_version_id: Option<TemplateVersionId>,
    /// What a build's job is of.
    pub workspace_build_id: Option<BuildId>,
    /// What it is doing.
    pub status: Status,
    /// Leases given so far.
    pub attempt: i32,
    /// Leases that lapsed before anything could have been changed.
    pub losses: i32,
    /// The lease that it is under; once ended, the one whose result ended it.
    pub lease_id: Option<LeaseId>,
    /// When that lapses.
    pub lease_expires_at: Option<Timestamp>,
    /// The permitted lease that it was lost under.
    pub lost_lease_id: Option<LeaseId>,
    /// The daemon that has or had it.
    pub worker_id: Option<DaemonId>,
    /// That daemon's name; outlives it.
    pub worker_name: String,
    /// When its holder was permitted to change things.
    pub apply_permitted_at: Option<Timestamp>,
    /// Why it failed, in words.
    pub error: String,
    /// Why it failed, where clients act on it.
    pub error_code: ErrorCode,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When a daemon got it.
    pub started_at: Option<Timestamp>,
    /// When somebody asked for it to stop.
    pub canceled_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
}

impl Model {
    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> State {
        State {
            status: self.status,
            attempt: self.attempt,
            losses: self.losses,
            lease: self.lease_id.clone().map(|id| Lease { id, permitted_at: self.apply_permitted_at }),
            lost: self.lost_lease_id.clone(),
        }
    }

    /// Since when nothing was heard of the daemon that has it, if that is too long ago.
    #[must_use]
    pub fn silent_since(&self, terms: Terms, now: Timestamp) -> Option<Timestamp> {
        let expires_at = self.lease_expires_at.filter(|_| self.status.is_leased())?;
        terms.silent_since(self.apply_permitted_at.is_some(), expires_at, now)
    }

    /// What it works on; `None` for a row that doesn't say.
    #[must_use]
    pub fn input(&self) -> Option<Input> {
        match self.job_type {
            JobType::Import => self.template_version_id.map(Input::Import),
            JobType::DryRun => self.template_version_id.map(Input::DryRun),
            JobType::Build => self.workspace_build_id.map(Input::Build),
        }
    }
}

/// None.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

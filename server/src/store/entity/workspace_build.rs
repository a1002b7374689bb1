//! `workspace_build`.

use sea_orm::entity::prelude::*;

use crate::domain::Timestamp;
use crate::domain::id::{BuildId, JobId, TemplateVersionId, UserId, WorkspaceId};
use crate::domain::job::StateReference;
use crate::domain::workspace::{BuildReason, Transition};

/// One transition of a workspace.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "workspace_build")]
pub struct Model {
    /// The build's id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: BuildId,
    /// What it is a build of.
    pub workspace_id: WorkspaceId,
    /// From 1, unique in the workspace.
    pub build_number: i32,
    /// What it is built from.
    pub template_version_id: TemplateVersionId,
    /// The job that does it.
    pub job_id: JobId,
    /// Who asked for it.
    pub initiator_id: UserId,
    /// What it does.
    pub transition: Transition,
    /// How it came to it.
    pub reason: BuildReason,
    /// The blob with the engine's state: before its first checkpoint, the previous build's.
    pub state_sha256: Option<String>,
    /// The lineage of the state; empty without one.
    pub state_lineage: String,
    /// The serial of the state; grows within a lineage.
    pub state_serial: i64,
    /// The blob with a newer state of the same lineage, which came when a later build had started already.
    pub salvaged_sha256: Option<String>,
    /// Its serial.
    pub salvaged_serial: i64,
    /// What its resources cost a day.
    pub daily_cost: i32,
    /// When it was queued.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Model {
    /// The state that it left, or starts from.
    #[must_use]
    pub fn state(&self) -> Option<StateReference> {
        let Self { state_sha256, state_lineage: lineage, state_serial: serial, .. } = self;
        let reference = |sha256| StateReference { lineage: lineage.clone(), serial: *serial, sha256 };
        state_sha256.clone().map(reference)
    }
}

/// None.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

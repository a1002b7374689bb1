//! What a daemon gets with a job: everything but the bytes.

use std::time::Duration;

use async_trait::async_trait;

use crate::domain::engine::Engine;
use crate::domain::job::{Claimed, Hold, JobType, StateReference};
use crate::domain::workspace::Transition;

/// Bytes that the server has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bytes {
    /// SHA-256 in lower-case hex.
    pub sha256: String,
    /// How many.
    pub size: u64,
}

/// The value of a template's variable. It may be secret, so it isn't printed.
#[derive(Clone, PartialEq, Eq)]
pub struct VariableValue {
    /// The variable.
    pub name: String,
    /// Its value.
    pub value: String,
    /// It isn't shown.
    pub sensitive: bool,
}

impl std::fmt::Debug for VariableValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VariableValue").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What templates may know of what they are used for; empty where there is nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub struct Metadata {
    /// The URL that people use; empty where the operator named none.
    pub server_url: String,
    pub organization_id: String,
    pub organization_name: String,
    pub initiator_name: String,
    pub template_id: String,
    pub template_name: String,
    pub template_version_id: String,
    pub template_version_name: String,
    pub workspace_id: String,
    pub workspace_name: String,
    pub owner_id: String,
    pub owner_name: String,
    pub owner_email: String,
    pub build_id: String,
}

/// A job, as its daemon gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The job and its lease.
    pub hold: Hold,
    /// From 1; grows with each lease.
    pub attempt: i32,
    /// What kind of work it is.
    pub job_type: JobType,
    /// What runs it.
    pub engine: Engine,
    /// The number that the first line from this daemon has.
    pub next_log_number: i64,
    /// The template's source.
    pub archive: Bytes,
    /// Values of the template's variables.
    pub variables: Vec<VariableValue>,
    /// What templates may know.
    pub metadata: Metadata,
    /// It is interrupted after this.
    pub time_limit: Duration,
    /// What a build does.
    pub transition: Option<Transition>,
    /// What a build starts from, with its size.
    pub state: Option<(StateReference, u64)>,
    /// What the version's import chose; empty for imports.
    pub lock_file: String,
}

/// Puts together what daemons need. A job that this fails for gets the reason as its error.
#[async_trait]
pub trait Assemble: Send + Sync {
    /// For each job of a batch its assignment, or why there can't be one.
    ///
    /// # Errors
    /// When nothing can be said of any of them, as when the database is away.
    async fn assemble(&self, claimed: &[Claimed]) -> crate::domain::Result<Vec<Result<Assignment, String>>>;
}

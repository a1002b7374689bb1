//! What daemons hand in.

use super::{ErrorCode, Outcome};
use crate::domain::Timestamp;
use crate::domain::workspace::Transition;

/// A state that the server has the bytes of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateReference {
    /// Names the line of states that it belongs to.
    pub lineage: String,
    /// Grows with each change.
    pub serial: i64,
    /// Its bytes.
    pub sha256: String,
}

impl StateReference {
    /// Whether it may take the place of `stored`. The same state again changes nothing.
    #[must_use]
    pub fn succeeds(&self, stored: Option<&Self>) -> Succession {
        match stored {
            None => Succession::Newer,
            Some(stored) if stored.lineage != self.lineage => Succession::Foreign,
            Some(stored) if stored.serial < self.serial => Succession::Newer,
            Some(stored) if stored.serial == self.serial && stored.sha256 == self.sha256 => Succession::Same,
            Some(_) => Succession::Older,
        }
    }
}

/// How a state stands to the one that is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Succession {
    /// It takes its place.
    Newer,
    /// It is the one.
    Same,
    /// It is older, or has the serial of another.
    Older,
    /// It isn't of the same lineage.
    Foreign,
}

/// A resource that a job made, or would make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// The transition that leaves it in place.
    pub transition: Transition,
    /// Its type, as the engine names it.
    pub kind: String,
    /// Its name in the template.
    pub name: String,
    /// Its address in the engine's state.
    pub address: String,
    /// The module that it stands in.
    pub module_path: String,
    /// Consoles don't show it.
    pub hide: bool,
    /// An image.
    pub icon: String,
    /// What it costs a day.
    pub daily_cost: i32,
    /// What it says about itself.
    pub metadata: Vec<ResourceMetadata>,
}

/// Something that a resource says about itself. Its value may be secret, so it isn't printed.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ResourceMetadata {
    /// What.
    pub key: String,
    /// The value.
    pub value: String,
    /// The value isn't shown.
    pub sensitive: bool,
}

impl std::fmt::Debug for ResourceMetadata {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResourceMetadata").field("key", &self.key).finish_non_exhaustive()
    }
}

/// How long a step of a job took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; not before it began.
    pub ended_at: Timestamp,
    /// `init`, `plan`, `graph` or `apply`.
    pub stage: String,
    /// The provider or the engine.
    pub source: String,
    /// What was done.
    pub action: String,
    /// To what.
    pub resource: String,
}

/// What an import learned.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Discovery {
    /// The template's readme.
    pub readme: String,
    /// Its variables.
    pub variables: Vec<Variable>,
}

/// A variable of a template. Its default may be secret, so it isn't printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// For people.
    pub description: String,
    /// Its type, as the engine names it.
    pub kind: String,
    /// As text.
    pub default_value: String,
    /// It has no default.
    pub required: bool,
    /// Its value isn't shown.
    pub sensitive: bool,
}

impl std::fmt::Debug for Variable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Variable").field("name", &self.name).finish_non_exhaustive()
    }
}

/// How a job ended, and all that it leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// How.
    pub outcome: Outcome,
    /// Why it failed, in words.
    pub error: String,
    /// Why it failed, where clients act on it.
    pub error_code: ErrorCode,
    /// The last line of its log.
    pub last_log_number: i64,
    /// The newest state.
    pub state: Option<StateReference>,
    /// What it made, or would make.
    pub resources: Vec<Resource>,
    /// How long its steps took.
    pub timings: Vec<Timing>,
    /// What an import's engine chose; empty where it chose nothing.
    pub lock_file: String,
}

impl Report {
    /// A failure of the server's own, which leaves nothing.
    #[must_use]
    pub fn failed(reason: &str) -> Self {
        Self {
            outcome: Outcome::Failed,
            error: reason.to_owned(),
            error_code: ErrorCode::None,
            last_log_number: 0,
            state: None,
            resources: Vec::new(),
            timings: Vec::new(),
            lock_file: String::new(),
        }
    }
}

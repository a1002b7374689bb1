//! Workspaces and their builds: what a build does, why, and what that makes of the workspace.

use sea_orm::{DeriveActiveEnum, EnumIter};

use super::id::BuildId;
use super::{Timestamp, job};

/// What a build does to its workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum Transition {
    /// Makes its resources, or brings them up to date.
    #[sea_orm(string_value = "start")]
    Start,
    /// Takes down what isn't kept while it is stopped.
    #[sea_orm(string_value = "stop")]
    Stop,
    /// Takes everything down.
    #[sea_orm(string_value = "delete")]
    Delete,
}

/// How it came to a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum BuildReason {
    /// Somebody asked for it.
    #[sea_orm(string_value = "initiator")]
    Initiator,
    /// The start of a schedule.
    #[sea_orm(string_value = "autostart")]
    Autostart,
    /// The end of a lifetime.
    #[sea_orm(string_value = "autostop")]
    Autostop,
    /// Nobody had used it for long.
    #[sea_orm(string_value = "dormancy")]
    Dormancy,
    /// Somebody asked for it in the console.
    #[sea_orm(string_value = "dashboard")]
    Dashboard,
    /// Somebody asked for it on the command line.
    #[sea_orm(string_value = "cli")]
    Cli,
    /// Somebody connected by SSH.
    #[sea_orm(string_value = "ssh_connection")]
    SshConnection,
    /// Somebody connected with Visual Studio Code.
    #[sea_orm(string_value = "vscode_connection")]
    VscodeConnection,
    /// Somebody connected with a JetBrains editor.
    #[sea_orm(string_value = "jetbrains_connection")]
    JetbrainsConnection,
    /// Somebody paused a task.
    #[sea_orm(string_value = "task_manual_pause")]
    TaskManualPause,
}

impl BuildReason {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Initiator,
        Self::Autostart,
        Self::Autostop,
        Self::Dormancy,
        Self::Dashboard,
        Self::Cli,
        Self::SshConnection,
        Self::VscodeConnection,
        Self::JetbrainsConnection,
        Self::TaskManualPause,
    ];

    /// As clients know it.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Initiator => "initiator",
            Self::Autostart => "autostart",
            Self::Autostop => "autostop",
            Self::Dormancy => "dormancy",
            Self::Dashboard => "dashboard",
            Self::Cli => "cli",
            Self::SshConnection => "ssh_connection",
            Self::VscodeConnection => "vscode_connection",
            Self::JetbrainsConnection => "jetbrains_connection",
            Self::TaskManualPause => "task_manual_pause",
        }
    }

    /// The one that clients write so.
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.text() == text)
    }
}

/// Differs when a workspace, its latest build or that build's job has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Mark {
    pub updated_at: Timestamp,
    pub build: BuildId,
    pub build_updated_at: Timestamp,
    pub job_status: job::Status,
    pub job_updated_at: Timestamp,
}

/// What a workspace is, and what a build made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Status {
    Pending,
    Starting,
    Running,
    Stopping,
    Stopped,
    Failed,
    Canceling,
    Canceled,
    Deleting,
    Deleted,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Pending,
        Self::Starting,
        Self::Running,
        Self::Stopping,
        Self::Stopped,
        Self::Failed,
        Self::Canceling,
        Self::Canceled,
        Self::Deleting,
        Self::Deleted,
    ];

    /// Its name.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Canceling => "canceling",
            Self::Canceled => "canceled",
            Self::Deleting => "deleting",
            Self::Deleted => "deleted",
        }
    }

    /// By its name.
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.text() == text)
    }

    /// What a build makes of its workspace, by where its job stands.
    #[must_use]
    pub fn of(job: job::Status, transition: Transition) -> Self {
        match (job, transition) {
            (job::Status::Pending, _) => Self::Pending,
            (job::Status::Running, Transition::Start) => Self::Starting,
            (job::Status::Running, Transition::Stop) => Self::Stopping,
            (job::Status::Running, Transition::Delete) => Self::Deleting,
            (job::Status::Succeeded, Transition::Start) => Self::Running,
            (job::Status::Succeeded, Transition::Stop) => Self::Stopped,
            (job::Status::Succeeded, Transition::Delete) => Self::Deleted,
            (job::Status::Canceling, _) => Self::Canceling,
            (job::Status::Canceled, _) => Self::Canceled,
            (job::Status::Failed, _) => Self::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workspace_is_what_its_latest_build_made_of_it() {
        use job::Status as Job;
        let table = [
            (Job::Pending, [Status::Pending, Status::Pending, Status::Pending]),
            (Job::Running, [Status::Starting, Status::Stopping, Status::Deleting]),
            (Job::Succeeded, [Status::Running, Status::Stopped, Status::Deleted]),
            (Job::Canceling, [Status::Canceling; 3]),
            (Job::Canceled, [Status::Canceled; 3]),
            (Job::Failed, [Status::Failed; 3]),
        ];
        for (job, by_transition) in table {
            let transitions = [Transition::Start, Transition::Stop, Transition::Delete];
            assert_eq!(transitions.map(|transition| Status::of(job, transition)), by_transition, "{job:?}");
        }
    }
}

//! Workspaces and their builds: what a build does, why, and what that makes of the workspace.

use sea_orm::{DeriveActiveEnum, EnumIter};

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

//! The commands for workspaces.

use clap::{Args, ValueEnum};

use super::jobs::{Wait, Yes};
use super::{Connection, Organization, Output};

const WAITING: &str = "\
Ctrl-C cancels the build; a second one leaves it running. Exit codes: 0 done, 1 not, 2 wrong usage, 130 interrupted.";

/// Which workspace.
#[derive(Debug, Args)]
pub(crate) struct Workspace {
    /// The workspace: its name, `owner/name`, or its id.
    pub(crate) workspace: String,
}

#[derive(Debug, Args)]
#[command(after_help = format!("Examples:\n  orgplane create first --template hello --yes\n  orgplane create ada/dev -t hello --org data-platform\n\nA dry run shows first what the template would make.\n{WAITING}"))]
pub(crate) struct Create {
    /// The new workspace's name, or `owner/name` for somebody else.
    pub(crate) name: String,
    /// The template's name; not needed where there is only one.
    #[arg(short, long)]
    pub(crate) template: Option<String>,
    /// The template version's name; by default the active one.
    #[arg(long, value_name = "NAME")]
    pub(crate) template_version: Option<String>,
    #[command(flatten)]
    pub(crate) wait: Wait,
    #[command(flatten)]
    pub(crate) yes: Yes,
    #[command(flatten)]
    pub(crate) organization: Organization,
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
#[command(after_help = format!("\
Example:
  orgplane start first

A start that failed or was canceled may have left something behind: the workspace is stopped first.

{WAITING}"))]
pub(crate) struct StartWorkspace {
    #[command(flatten)]
    pub(crate) workspace: Workspace,
    #[command(flatten)]
    pub(crate) wait: Wait,
    /// Don't ask whether to stop first what a failed start left behind.
    #[arg(short, long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
#[command(after_help = format!("Example:\n  orgplane stop first --yes\n\n{WAITING}"))]
pub(crate) struct StopWorkspace {
    #[command(flatten)]
    pub(crate) workspace: Workspace,
    #[command(flatten)]
    pub(crate) wait: Wait,
    #[command(flatten)]
    pub(crate) yes: Yes,
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
#[command(after_help = format!("Examples:\n  orgplane delete first --yes\n  orgplane delete ada/dev --orphan\n\n{WAITING}"))]
pub(crate) struct DeleteWorkspace {
    #[command(flatten)]
    pub(crate) workspace: Workspace,
    /// Forget the workspace without destroying its resources, which then belong to nobody here; for those who may change
    /// the template.
    #[arg(long)]
    pub(crate) orphan: bool,
    #[command(flatten)]
    pub(crate) wait: Wait,
    #[command(flatten)]
    pub(crate) yes: Yes,
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  orgplane list
  orgplane list --all -o json
  orgplane list --search 'status:running template:hello'")]
pub(crate) struct ListWorkspaces {
    /// Everybody's that you may see, not only your own.
    #[arg(short, long)]
    pub(crate) all: bool,
    /// A search instead of your own: words of `name` or `owner/name`, and owner:, template:, name:, status:, outdated:,
    /// organization: and id: with a value.
    #[arg(long, value_name = "SEARCH", conflicts_with = "all")]
    pub(crate) search: Option<String>,
    /// The columns of the table.
    #[arg(short, long = "column", value_enum, value_delimiter = ',', ignore_case = true, default_values_t = WorkspaceColumn::DEFAULT)]
    pub(crate) columns: Vec<WorkspaceColumn>,
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  orgplane show first")]
pub(crate) struct ShowWorkspace {
    #[command(flatten)]
    pub(crate) workspace: Workspace,
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  orgplane logs first
  orgplane logs first --follow
  orgplane logs first --build 2 -o json

With -o json: a list, or with --follow one object a line. Ctrl-C ends the following, not the build.")]
pub(crate) struct Logs {
    #[command(flatten)]
    pub(crate) workspace: Workspace,
    /// Go on until the build ends.
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// The build's number; by default the newest.
    #[arg(short = 'n', long, value_name = "NUMBER", value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) build: Option<i32>,
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// A column of a list of workspaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub(crate) enum WorkspaceColumn {
    Workspace,
    Id,
    #[value(name = "organization id")]
    OrganizationId,
    #[value(name = "organization name")]
    OrganizationName,
    Template,
    Status,
    Healthy,
    #[value(name = "last built")]
    LastBuilt,
    #[value(name = "current version")]
    CurrentVersion,
    Outdated,
    #[value(name = "daily cost")]
    DailyCost,
    #[value(name = "created at")]
    CreatedAt,
}

impl WorkspaceColumn {
    const DEFAULT: [Self; 6] =
        [Self::Workspace, Self::Template, Self::Status, Self::LastBuilt, Self::CurrentVersion, Self::Outdated];
}

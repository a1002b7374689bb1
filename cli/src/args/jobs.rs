//! `orgplane provisioner jobs`, and what commands that wait for a job have in common.

use clap::{Args, Subcommand, ValueEnum};

use super::{Connection, Organization, Output};

/// How a command waits for its job.
#[derive(Debug, Args)]
pub(crate) struct Wait {
    /// Show every line of the job's log as it comes, not only the stages.
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

/// Whether to ask before something is done.
#[derive(Debug, Args)]
pub(crate) struct Yes {
    /// Don't ask; needed where there is no terminal to ask at.
    #[arg(short, long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Jobs {
    /// List an organization's jobs, the newest last.
    #[command(visible_alias = "ls")]
    List(ListJobs),
    /// Cancel a job: at once while it waits, by its daemon while it runs.
    Cancel(CancelJob),
    /// End a job whose daemon is out of contact, before it is given up by itself.
    Release(ReleaseJob),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  orgplane provisioner jobs list --status pending,running
  orgplane provisioner jobs list --initiator me -c id,type,queue -o table")]
pub(crate) struct ListJobs {
    /// Only those in one of these states.
    #[arg(short, long, value_enum, value_delimiter = ',')]
    pub(crate) status: Vec<JobState>,
    /// How many at most.
    #[arg(short, long, default_value = "50", value_parser = clap::value_parser!(i32).range(1..=1000))]
    pub(crate) limit: i32,
    /// Only those that this user asked for: an id, a username, or `me`.
    #[arg(short, long, value_name = "USER")]
    pub(crate) initiator: Option<String>,
    /// The columns of the table.
    #[arg(
        short, long = "column", value_enum, value_delimiter = ',', ignore_case = true, hide_possible_values = false,
        default_values_t = JobColumn::DEFAULT
    )]
    pub(crate) columns: Vec<JobColumn>,
    #[command(flatten)]
    pub(crate) organization: Organization,
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  orgplane provisioner jobs cancel 01995a3c-7d5e-7b1f-8a52-3f0c3a1e9b11 --org data-platform"
)]
pub(crate) struct CancelJob {
    /// The job's id.
    pub(crate) job: String,
    #[command(flatten)]
    pub(crate) organization: Organization,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The job fails, and its workspace takes builds again. What the daemon changed since its last checkpoint isn't known, and it
may go on changing things: release a job only when its daemon is gone for good.

Example:
  orgplane provisioner jobs release 01995a3c-7d5e-7b1f-8a52-3f0c3a1e9b11 --org data-platform")]
pub(crate) struct ReleaseJob {
    /// The job's id.
    pub(crate) job: String,
    #[command(flatten)]
    pub(crate) yes: Yes,
    #[command(flatten)]
    pub(crate) organization: Organization,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum JobState {
    Pending,
    Running,
    Succeeded,
    Canceling,
    Canceled,
    Failed,
    Unknown,
}

/// A column of a list of jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub(crate) enum JobColumn {
    Id,
    #[value(name = "created at")]
    CreatedAt,
    #[value(name = "started at")]
    StartedAt,
    #[value(name = "completed at")]
    CompletedAt,
    #[value(name = "canceled at")]
    CanceledAt,
    Error,
    #[value(name = "error code")]
    ErrorCode,
    Status,
    #[value(name = "worker id")]
    WorkerId,
    #[value(name = "worker name")]
    WorkerName,
    #[value(name = "file id")]
    FileId,
    Tags,
    #[value(name = "queue position")]
    QueuePosition,
    #[value(name = "queue size")]
    QueueSize,
    #[value(name = "organization id")]
    OrganizationId,
    #[value(name = "initiator id")]
    InitiatorId,
    #[value(name = "template version id")]
    TemplateVersionId,
    #[value(name = "workspace build id")]
    WorkspaceBuildId,
    Type,
    #[value(name = "available workers")]
    AvailableWorkers,
    #[value(name = "template version name")]
    TemplateVersionName,
    #[value(name = "template id")]
    TemplateId,
    #[value(name = "template name")]
    TemplateName,
    #[value(name = "template display name")]
    TemplateDisplayName,
    #[value(name = "template icon")]
    TemplateIcon,
    #[value(name = "workspace id")]
    WorkspaceId,
    #[value(name = "workspace name")]
    WorkspaceName,
    #[value(name = "workspace build transition")]
    WorkspaceBuildTransition,
    #[value(name = "logs overflowed")]
    LogsOverflowed,
    Organization,
    Queue,
    #[value(name = "contact lost since")]
    ContactLostSince,
}

impl JobColumn {
    const DEFAULT: [Self; 7] =
        [Self::CreatedAt, Self::Id, Self::Type, Self::TemplateDisplayName, Self::Status, Self::Queue, Self::Tags];
}

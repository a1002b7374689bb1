//! `orgplane audit`.

use clap::{Args, Subcommand, ValueEnum};

use super::{Connection, Output};

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// List entries, newest first.
    #[command(visible_alias = "ls")]
    List(ListAudit),
    /// Print entries as lines of JSON, oldest first.
    Export(ExportAudit),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  orgplane audit list
  orgplane audit list 'action:delete resource_type:template'
  orgplane audit list 'username:ann date_from:2026-01-01'")]
pub(crate) struct ListAudit {
    /// What to look for: resource_type, resource_id, resource_target, action, username, email, date_from, date_to,
    /// organization, build_reason and request_id, each with a colon and a value.
    #[arg(default_value = "", hide_default_value = true)]
    pub(crate) query: String,
    /// At most so many.
    #[arg(short, long, default_value = "50", value_name = "N", value_parser = clap::value_parser!(i32).range(1..=1000))]
    pub(crate) limit: i32,
    /// The columns of the table.
    #[arg(short, long = "column", value_enum, value_delimiter = ',', ignore_case = true, default_values_t = AuditColumn::DEFAULT)]
    pub(crate) columns: Vec<AuditColumn>,
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  orgplane audit export --since 2026-01-01 --until 2026-02-01 > january.jsonl")]
pub(crate) struct ExportAudit {
    /// From this time on: a day in UTC, or a time such as 2026-01-01T08:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) since: Option<prost_types::Timestamp>,
    /// Before this time.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) until: Option<prost_types::Timestamp>,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// A column of a list of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub(crate) enum AuditColumn {
    Time,
    User,
    Action,
    #[value(name = "resource type")]
    ResourceType,
    Target,
    Organization,
    Status,
    Ip,
    #[value(name = "request id")]
    RequestId,
    Description,
}

impl AuditColumn {
    const DEFAULT: [Self; 7] =
        [Self::Time, Self::User, Self::Action, Self::ResourceType, Self::Target, Self::Organization, Self::Status];
}

fn time(text: &str) -> Result<prost_types::Timestamp, String> {
    let text = if text.len() == "2026-01-01".len() { format!("{text}T00:00:00Z") } else { text.to_owned() };
    text.parse().map_err(|_| "must be a day such as 2026-01-01 or a time such as 2026-01-01T08:00:00Z".to_owned())
}

//! `orgplane tokens`.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::{Connection, Output};

#[derive(Debug, Subcommand)]
pub(crate) enum Tokens {
    /// Create a token. It is printed once.
    Create(CreateToken),
    /// List tokens.
    #[command(visible_alias = "ls")]
    List(ListTokens),
    /// Show a token.
    View(ViewToken),
    /// End a token, or delete it.
    #[command(visible_aliases = ["delete", "rm"])]
    Remove(RemoveToken),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  orgplane tokens create --name ci --lifetime 30d
  orgplane tokens create --name dashboard --scope template:read --scope workspace:read")]
pub(crate) struct CreateToken {
    /// Its name; made up when it isn't given.
    #[arg(short, long, default_value = "", hide_default_value = true)]
    pub(crate) name: String,
    /// How long it is good, such as 12h or 30d; by default a week.
    #[arg(short, long, value_parser = humantime::parse_duration, value_name = "DURATION")]
    pub(crate) lifetime: Option<Duration>,
    /// What it is for, such as template:read; may be repeated. By default all that you may do.
    #[arg(long = "scope", value_delimiter = ',', value_name = "SCOPE")]
    pub(crate) scopes: Vec<String>,
    /// Whose it is, for owners of the site; by default yours.
    #[arg(short, long, default_value = "me", hide_default_value = true)]
    pub(crate) user: String,
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  orgplane tokens list --include-expired")]
pub(crate) struct ListTokens {
    /// Those of everybody, for owners of the site.
    #[arg(short, long)]
    pub(crate) all: bool,
    /// With those that have expired within a week.
    #[arg(long)]
    pub(crate) include_expired: bool,
    /// The columns of the table; by default with the owner when all are listed.
    #[arg(short, long = "column", value_enum, value_delimiter = ',', ignore_case = true)]
    pub(crate) columns: Vec<TokenColumn>,
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  orgplane tokens view ci")]
pub(crate) struct ViewToken {
    /// Its name or id.
    #[arg(value_name = "NAME")]
    pub(crate) which: String,
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  orgplane tokens remove ci\n  orgplane tokens remove ci --delete")]
pub(crate) struct RemoveToken {
    /// Its name or id.
    #[arg(value_name = "NAME")]
    pub(crate) which: String,
    /// Delete it; otherwise it is listed among the expired ones for a week.
    #[arg(long)]
    pub(crate) delete: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// A column of a list of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub(crate) enum TokenColumn {
    Id,
    Name,
    Scopes,
    #[value(name = "last used")]
    LastUsed,
    #[value(name = "expires at")]
    ExpiresAt,
    #[value(name = "created at")]
    CreatedAt,
    Owner,
}

impl TokenColumn {
    /// What is shown when no columns are chosen.
    pub(crate) fn default_of(all: bool) -> Vec<Self> {
        let own = [Self::Id, Self::Name, Self::LastUsed, Self::ExpiresAt, Self::CreatedAt];
        own.into_iter().chain(all.then_some(Self::Owner)).collect()
    }
}

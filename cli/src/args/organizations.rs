//! `orgplane organizations`.

use clap::Subcommand;

use super::{Connection, Output};

#[derive(Debug, Subcommand)]
pub(crate) enum Organizations {
    /// List the organizations that you may see.
    #[command(visible_alias = "ls")]
    List {
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        output: Output,
    },
    /// Create an organization.
    #[command(after_help = "Example:\n  orgplane organizations create data-platform --display-name 'Data platform'")]
    Create {
        /// Its name: letters, digits and single hyphens between them.
        name: String,
        /// Its name for people; by default the same.
        #[arg(long, default_value = "")]
        display_name: String,
        /// What it is for.
        #[arg(long, default_value = "")]
        description: String,
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        output: Output,
    },
}

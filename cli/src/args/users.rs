//! `orgplane users`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::jobs::Yes;
use super::{Connection, Organization, Output};

#[derive(Debug, Subcommand)]
pub(crate) enum Users {
    /// Create a user.
    Create(CreateUser),
    /// List the users that you may see.
    #[command(visible_alias = "ls")]
    List(ListUsers),
    /// Show a user, their organizations and roles.
    Show(ShowUser),
    /// Keep a user out, until they are activated again.
    Suspend(SetUserStatus),
    /// Let a user in again.
    Activate(SetUserStatus),
    /// Delete a user who owns no workspaces.
    #[command(visible_alias = "rm")]
    Delete(DeleteUser),
    /// Set a user's roles of the site.
    EditRoles(EditRoles),
}

const CREATE_EXAMPLES: &str = "\
The password comes from --password-file, a question at the terminal, or a line on stdin.

Examples:
  orgplane users create --username ada --email ada@example.com --password-file password
  orgplane users create --username ada --email ada@example.com --generate-password --org data-platform
  orgplane users create --username ci --email ci@example.com --login-type none";

#[derive(Debug, Args)]
#[command(after_help = CREATE_EXAMPLES)]
pub(crate) struct CreateUser {
    /// Their handle: letters, digits and single hyphens between them.
    #[arg(short, long)]
    pub(crate) username: String,
    /// The address that they sign in with.
    #[arg(short, long)]
    pub(crate) email: String,
    /// Their real name.
    #[arg(short = 'n', long, default_value = "", hide_default_value = true, value_name = "NAME")]
    pub(crate) full_name: String,
    /// How they sign in; with `none` not at all, but with tokens that others make for them.
    #[arg(long, value_enum, default_value = "password", value_name = "TYPE")]
    pub(crate) login_type: LoginWay,
    /// A file with their password on its first line; `-` is stdin.
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// Make a password up and show it, once.
    #[arg(long, conflicts_with = "password_file")]
    pub(crate) generate_password: bool,
    /// Roles of the site to give them.
    #[arg(long = "roles", value_delimiter = ',', value_name = "ROLE")]
    pub(crate) roles: Vec<String>,
    /// The organization to join, by name or id; by default the default one [env: ORGPLANE_ORGANIZATION,
    /// CODER_ORGANIZATION].
    #[command(flatten)]
    pub(crate) organization: Organization,
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// How somebody signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LoginWay {
    Password,
    None,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  orgplane users list
  orgplane users list --search 'ada status:active' -c username,id
  orgplane users list --search role:owner -o json")]
pub(crate) struct ListUsers {
    /// A part of a username or address, and status:, role:, login_type:, name:, created_after: and the like with a value.
    #[arg(long, value_name = "SEARCH", default_value = "", hide_default_value = true)]
    pub(crate) search: String,
    /// The columns of the table.
    #[arg(short, long = "column", value_enum, value_delimiter = ',', ignore_case = true, default_values_t = UserColumn::DEFAULT)]
    pub(crate) columns: Vec<UserColumn>,
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  orgplane users show ada")]
pub(crate) struct ShowUser {
    /// Their username or id, or `me`.
    pub(crate) user: String,
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  orgplane users suspend ada
  orgplane users activate ada")]
pub(crate) struct SetUserStatus {
    /// Their username or id.
    pub(crate) user: String,
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  orgplane users delete ada --yes")]
pub(crate) struct DeleteUser {
    /// Their username or id.
    pub(crate) user: String,
    #[command(flatten)]
    pub(crate) yes: Yes,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  orgplane users edit-roles ada --roles user-admin,auditor
  orgplane users edit-roles ada --roles ''")]
pub(crate) struct EditRoles {
    /// Their username or id.
    pub(crate) user: String,
    /// All roles of the site that they are to have: owner, user-admin, template-admin, auditor; '' for none.
    #[arg(long, required = true, value_delimiter = ',', value_name = "ROLE")]
    pub(crate) roles: Vec<String>,
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// A column of a list of users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub(crate) enum UserColumn {
    Username,
    Email,
    Status,
    #[value(name = "created at", alias = "created_at")]
    CreatedAt,
    Id,
    Name,
    Roles,
    #[value(name = "login type")]
    LoginType,
    #[value(name = "last seen at")]
    LastSeenAt,
}

impl UserColumn {
    const DEFAULT: [Self; 4] = [Self::Username, Self::Email, Self::Status, Self::CreatedAt];
}

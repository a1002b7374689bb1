//! `orgplane organizations members`.

use clap::{Args, Subcommand, ValueEnum};

use super::{Connection, Organization, Output};

#[derive(Debug, Subcommand)]
pub(crate) enum Members {
    /// List an organization's members.
    #[command(visible_alias = "ls")]
    List(ListMembers),
    /// Make a user a member.
    Add(Member),
    /// End a membership; the workspaces of the user stay.
    #[command(visible_alias = "rm")]
    Remove(Member),
    /// Give a member exactly these roles, and take all others.
    #[command(visible_alias = "edit-role")]
    EditRoles(EditMemberRoles),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  orgplane organizations members list --org data-platform
  orgplane organizations members list --search 'status:active ada' -c username,name -o table")]
pub(crate) struct ListMembers {
    /// Only those that a search finds: words of usernames and addresses, `name:`, `status:`, `login_type:`.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) search: String,
    /// The columns of the table.
    #[arg(short, long = "column", value_enum, value_delimiter = ',', ignore_case = true, default_values_t = MemberColumn::DEFAULT)]
    pub(crate) columns: Vec<MemberColumn>,
    #[command(flatten)]
    pub(crate) organization: Organization,
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  orgplane organizations members add ada --org data-platform
  orgplane organizations members remove ada --org data-platform")]
pub(crate) struct Member {
    /// Who: a username or an id.
    pub(crate) user: String,
    #[command(flatten)]
    pub(crate) organization: Organization,
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  orgplane organizations members edit-roles ada organization-template-admin key-maker --org data-platform
  orgplane organizations members edit-roles ada --org data-platform     Takes all of them")]
pub(crate) struct EditMemberRoles {
    /// Who: a username or an id.
    pub(crate) user: String,
    /// The names of the roles; `orgplane organizations roles show` lists them.
    pub(crate) roles: Vec<String>,
    #[command(flatten)]
    pub(crate) organization: Organization,
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// A column of a list of members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub(crate) enum MemberColumn {
    Username,
    Name,
    #[value(name = "user id")]
    UserId,
    #[value(name = "organization id")]
    OrganizationId,
    #[value(name = "created at")]
    CreatedAt,
    #[value(name = "updated at")]
    UpdatedAt,
    #[value(name = "organization roles")]
    OrganizationRoles,
    #[value(name = "global roles")]
    GlobalRoles,
    Email,
    Status,
}

impl MemberColumn {
    const DEFAULT: [Self; 2] = [Self::Username, Self::OrganizationRoles];
}

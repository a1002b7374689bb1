//! `orgplane organizations roles`.

use clap::{Args, Subcommand, ValueEnum};

use super::jobs::Yes;
use super::{Connection, Organization, Output};

#[derive(Debug, Subcommand)]
pub(crate) enum Roles {
    /// Show the roles that members of an organization can have.
    #[command(visible_aliases = ["list", "ls"])]
    Show(ShowRoles),
    /// Make a role.
    Create(CreateRole),
    /// Change a role that was made.
    Update(UpdateRole),
    /// Delete a role that was made, and take it from everybody who has it.
    #[command(visible_alias = "rm")]
    Delete(DeleteRole),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  orgplane organizations roles show --org data-platform
  orgplane organizations roles show key-maker     With all that it grants")]
pub(crate) struct ShowRoles {
    /// Only these, with all that they grant.
    pub(crate) names: Vec<String>,
    /// The columns of the table.
    #[arg(short, long = "column", value_enum, value_delimiter = ',', ignore_case = true, default_values_t = RoleColumn::DEFAULT)]
    pub(crate) columns: Vec<RoleColumn>,
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
  orgplane organizations roles create key-maker --permission provisioner_daemon:create,provisioner_daemon:delete
  orgplane organizations roles show key-maker -o json | jq '.[0] | .name = \"other\"' |
    orgplane organizations roles create --stdin")]
pub(crate) struct CreateRole {
    /// Its name: letters, digits and single hyphens between them.
    #[arg(required_unless_present = "stdin")]
    pub(crate) name: Option<String>,
    /// Its name for people.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) display_name: String,
    /// What it grants, as `resource:action`; docs/permissions.md lists what there is.
    #[arg(long = "permission", value_name = "PERMISSION", value_delimiter = ',', value_parser = super::parse_permission)]
    pub(crate) permissions: Vec<(String, String)>,
    /// Read the whole role from stdin, as `roles show -o json` writes one.
    #[arg(long, conflicts_with_all = ["name", "display_name", "permissions"])]
    pub(crate) stdin: bool,
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
  orgplane organizations roles update key-maker --permission provisioner_daemon:create
  orgplane organizations roles update key-maker --display-name 'Makes keys'
  orgplane organizations roles update --stdin < role.json")]
#[group(id = "role_change", multiple = true, required = true, args = ["display_name", "permissions", "stdin"])]
pub(crate) struct UpdateRole {
    /// Its name, which stays.
    #[arg(required_unless_present = "stdin")]
    pub(crate) name: Option<String>,
    /// Its new name for people; may be empty.
    #[arg(long)]
    pub(crate) display_name: Option<String>,
    /// All that it grants from now on, as `resource:action`.
    #[arg(long = "permission", value_name = "PERMISSION", value_delimiter = ',', value_parser = super::parse_permission)]
    pub(crate) permissions: Option<Vec<(String, String)>>,
    /// Read the whole role from stdin, as `roles show -o json` writes one.
    #[arg(long, conflicts_with_all = ["name", "display_name", "permissions"])]
    pub(crate) stdin: bool,
    #[command(flatten)]
    pub(crate) organization: Organization,
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  orgplane organizations roles delete key-maker --yes")]
pub(crate) struct DeleteRole {
    /// Its name.
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) yes: Yes,
    #[command(flatten)]
    pub(crate) organization: Organization,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// A column of a list of roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub(crate) enum RoleColumn {
    Name,
    #[value(name = "display name")]
    DisplayName,
    #[value(name = "organization id")]
    OrganizationId,
    #[value(name = "organization permissions")]
    OrganizationPermissions,
    #[value(name = "built in")]
    BuiltIn,
    Assignable,
}

impl RoleColumn {
    const DEFAULT: [Self; 3] = [Self::Name, Self::DisplayName, Self::OrganizationPermissions];
}

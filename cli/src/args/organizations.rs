//! `orgplane organizations`.

use clap::{Args, Subcommand, ValueEnum};

use super::jobs::Yes;
use super::{Connection, Members, Organization, Output, Roles};

#[derive(Debug, Subcommand)]
pub(crate) enum Organizations {
    /// List the organizations that you may see.
    #[command(visible_alias = "ls")]
    List(ListOrganizations),
    /// Show an organization: the one that commands would use now, your own, or a named one.
    Show(ShowOrganization),
    /// Create an organization.
    Create(CreateOrganization),
    /// Change an organization.
    Edit(EditOrganization),
    /// Delete an empty organization.
    #[command(visible_alias = "rm")]
    Delete(DeleteOrganization),
    /// Manage who is a member, and with which roles.
    #[command(visible_alias = "member", subcommand)]
    Members(Members),
    /// Manage the roles that members can have.
    #[command(visible_alias = "role", subcommand)]
    Roles(Roles),
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  orgplane organizations list -c name,id")]
pub(crate) struct ListOrganizations {
    /// The columns of the table.
    #[arg(short, long = "column", value_enum, value_delimiter = ',', ignore_case = true, default_values_t = OrganizationColumn::DEFAULT)]
    pub(crate) columns: Vec<OrganizationColumn>,
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  orgplane organizations show
  orgplane organizations show me
  orgplane organizations show data-platform --only-id")]
pub(crate) struct ShowOrganization {
    /// `selected` for the one that commands would use now, `me` for those that you are a member of, else a name or id.
    #[arg(default_value = "selected", value_name = "ORGANIZATION")]
    pub(crate) which: String,
    /// Print ids only.
    #[arg(long, conflicts_with = "output")]
    pub(crate) only_id: bool,
    #[command(flatten)]
    pub(crate) organization: Organization,
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  orgplane organizations create data-platform --display-name 'Data platform'")]
pub(crate) struct CreateOrganization {
    /// Its name: letters, digits and single hyphens between them.
    pub(crate) name: String,
    /// Its name for people; by default the same.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) display_name: String,
    /// What it is for.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) description: String,
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  orgplane organizations edit data-platform --description 'Clusters of the data team'"
)]
#[group(id = "change", multiple = true, required = true, args = ["name", "display_name", "description", "icon"])]
pub(crate) struct EditOrganization {
    /// Its name or id now.
    #[arg(value_name = "ORGANIZATION")]
    pub(crate) which: String,
    /// Its new name.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Its new name for people.
    #[arg(long)]
    pub(crate) display_name: Option<String>,
    /// What it is for; may be empty.
    #[arg(long)]
    pub(crate) description: Option<String>,
    /// The URL of its picture; may be empty.
    #[arg(long, value_name = "URL")]
    pub(crate) icon: Option<String>,
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  orgplane organizations delete data-platform --yes")]
pub(crate) struct DeleteOrganization {
    /// Its name or id.
    #[arg(value_name = "ORGANIZATION")]
    pub(crate) which: String,
    #[command(flatten)]
    pub(crate) yes: Yes,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// A column of a list of organizations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub(crate) enum OrganizationColumn {
    Name,
    #[value(name = "display name")]
    DisplayName,
    Id,
    Default,
    #[value(name = "created at")]
    CreatedAt,
    #[value(name = "updated at")]
    UpdatedAt,
    Description,
    Icon,
}

impl OrganizationColumn {
    const DEFAULT: [Self; 5] = [Self::Name, Self::DisplayName, Self::Id, Self::Default, Self::CreatedAt];
}

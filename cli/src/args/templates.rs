//! `orgplane templates`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::jobs::{Wait, Yes};
use super::{Connection, Engine, Organization, Output};

#[derive(Debug, Subcommand)]
pub(crate) enum Templates {
    /// Upload a folder as a template, or as the next version of one, and wait for its import.
    Push(Box<Push>),
    /// List the templates that you may see.
    #[command(visible_alias = "ls")]
    List(ListTemplates),
    /// Show a template and the variables of its active version.
    Show(ShowTemplate),
    /// Delete templates that no workspace is made from.
    #[command(visible_alias = "rm")]
    Delete(DeleteTemplates),
    /// List a template's versions, or make another one the active one.
    #[command(visible_alias = "version", subcommand)]
    Versions(Versions),
}

const PUSH_HELP: &str = "\
Left out of the upload: files and folders whose names begin with a dot, except .terraform.lock.hcl, and files named
*.tfstate or *.tfstate.*. Links are followed where they stay within the folder. At most 100 MiB.

Examples:
  orgplane templates push hello --directory deploy/templates/hello --org data-platform --yes
  orgplane templates push hello --yes --name v2 --message 'bigger disks' --variable size=large --activate=false

Ctrl-C cancels the import; a second one leaves it running. Exit codes: 0 it is imported, 1 it isn't, 2 wrong usage, 130
interrupted.";

#[derive(Debug, Args)]
#[command(after_help = PUSH_HELP)]
pub(crate) struct Push {
    /// The template's name; by default the folder's.
    pub(crate) template: Option<String>,
    /// The folder with the template's files.
    #[arg(short, long, default_value = ".", value_name = "DIR")]
    pub(crate) directory: PathBuf,
    /// The version's name; by default a generated one.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) name: String,
    /// What is new in this version.
    #[arg(short, long, default_value = "", hide_default_value = true)]
    pub(crate) message: String,
    /// Make the version the template's active one; a new template's first version is that in any case.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub(crate) activate: bool,
    /// A value of a template variable; may be repeated. Others can read a command line: secrets belong in a file.
    #[arg(long = "variable", visible_alias = "var", value_name = "NAME=VALUE", value_parser = super::parse_pair)]
    pub(crate) variables: Vec<(String, String)>,
    /// A file with values of template variables, as terraform.tfvars has them, or JSON where its name ends in .json.
    #[arg(long, value_name = "FILE")]
    pub(crate) variables_file: Option<PathBuf>,
    /// A tag of the daemons that may do the template's jobs; may be repeated. By default those of the active version.
    #[arg(long = "provisioner-tag", value_name = "KEY=VALUE", value_parser = super::parse_pair)]
    pub(crate) tags: Vec<(String, String)>,
    /// What runs the template; by default what runs the existing one, or Terraform.
    #[arg(long, value_enum)]
    pub(crate) provisioner: Option<Engine>,
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
#[command(after_help = "Example:\n  orgplane templates list --org data-platform -c name,organization")]
pub(crate) struct ListTemplates {
    /// The columns of the table.
    #[arg(short, long = "column", value_enum, value_delimiter = ',', ignore_case = true, default_values_t = TemplateColumn::DEFAULT)]
    pub(crate) columns: Vec<TemplateColumn>,
    #[command(flatten)]
    pub(crate) organization: Organization,
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  orgplane templates show hello -o json")]
pub(crate) struct ShowTemplate {
    /// The template's name.
    pub(crate) template: String,
    #[command(flatten)]
    pub(crate) organization: Organization,
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  orgplane templates delete hello --org data-platform --yes")]
pub(crate) struct DeleteTemplates {
    /// The templates' names.
    #[arg(required = true)]
    pub(crate) templates: Vec<String>,
    #[command(flatten)]
    pub(crate) yes: Yes,
    #[command(flatten)]
    pub(crate) organization: Organization,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Versions {
    /// List a template's versions, the newest last.
    #[command(visible_alias = "ls")]
    List(ListVersions),
    /// Make a version the template's active one.
    Promote(PromoteVersion),
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  orgplane templates versions list hello --org data-platform")]
pub(crate) struct ListVersions {
    /// The template's name.
    pub(crate) template: String,
    /// The columns of the table.
    #[arg(short, long = "column", value_enum, value_delimiter = ',', ignore_case = true, default_values_t = VersionColumn::DEFAULT)]
    pub(crate) columns: Vec<VersionColumn>,
    #[command(flatten)]
    pub(crate) organization: Organization,
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  orgplane templates versions promote --template hello --template-version v2")]
pub(crate) struct PromoteVersion {
    /// The template's name.
    #[arg(short, long)]
    pub(crate) template: String,
    /// The version's name.
    #[arg(long)]
    pub(crate) template_version: String,
    #[command(flatten)]
    pub(crate) organization: Organization,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// A column of a list of templates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub(crate) enum TemplateColumn {
    Name,
    #[value(name = "display name")]
    DisplayName,
    Id,
    #[value(name = "organization id")]
    OrganizationId,
    Organization,
    Provisioner,
    #[value(name = "active version id")]
    ActiveVersionId,
    Description,
    #[value(name = "created by")]
    CreatedBy,
    #[value(name = "created at")]
    CreatedAt,
    #[value(name = "last updated")]
    LastUpdated,
}

impl TemplateColumn {
    const DEFAULT: [Self; 4] = [Self::Name, Self::Organization, Self::Provisioner, Self::LastUpdated];
}

/// A column of a list of versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub(crate) enum VersionColumn {
    Name,
    #[value(name = "created at")]
    CreatedAt,
    #[value(name = "created by")]
    CreatedBy,
    Status,
    Active,
    Id,
    Message,
}

impl VersionColumn {
    const DEFAULT: [Self; 5] = [Self::Name, Self::CreatedAt, Self::CreatedBy, Self::Status, Self::Active];
}

//! The command line, as types without logic.

mod audit;
mod connection;
mod demo;
mod gateway;
mod jobs;
mod listen;
mod login;
mod members;
mod memory;
mod organizations;
mod provisioner;
mod roles;
mod route;
mod server;
mod templates;
mod tokens;
mod users;
mod workspaces;

use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub(crate) use audit::{Audit, AuditColumn, ExportAudit, ListAudit};
pub(crate) use connection::{Connection, Organization, Output};
pub(crate) use demo::{Demo, Engine};
pub(crate) use gateway::Gateway;
pub(crate) use jobs::{CancelJob, JobColumn, JobState, Jobs, ListJobs, ReleaseJob, Yes};
pub(crate) use listen::Listen;
pub(crate) use login::{Login, Logout, Whoami};
pub(crate) use members::{EditMemberRoles, ListMembers, Member, MemberColumn, Members};
pub(crate) use memory::Memory;
pub(crate) use organizations::{
    CreateOrganization, DeleteOrganization, EditOrganization, ListOrganizations, OrganizationColumn, Organizations,
    ShowOrganization,
};
pub(crate) use provisioner::{
    CreateKey, DaemonColumn, DaemonState, DeleteKey, KeyColumn, Keys, List, ListKeys, Provisioner, Provisionerd, Start,
};
pub(crate) use roles::{CreateRole, DeleteRole, RoleColumn, Roles, ShowRoles, UpdateRole};
pub(crate) use route::Route;
pub(crate) use server::{BuiltIn, Policy, Server, Timing};
pub(crate) use templates::{
    DeleteTemplates, ListTemplates, ListVersions, PromoteVersion, Push, ShowTemplate, TemplateColumn, Templates,
    VersionColumn, Versions,
};
pub(crate) use tokens::{CreateToken, ListTokens, RemoveToken, TokenColumn, Tokens, ViewToken};
pub(crate) use users::{
    CreateUser, DeleteUser, EditRoles, ListUsers, LoginWay, SetUserStatus, ShowUser, UserColumn, Users,
};
pub(crate) use workspaces::{
    Create, DeleteWorkspace, ListWorkspaces, Logs, ShowWorkspace, StartWorkspace, StopWorkspace, WorkspaceColumn,
};

const EXAMPLES: &str = "\
Examples:
  orgplane demo --exit                                See it work
  orgplane server                                     Run a control plane on 127.0.0.1:3000
  orgplane login http://127.0.0.1:3000                Sign in; creates the first user of a fresh server
  orgplane organizations create data-platform
  orgplane provisioner keys create cluster --org data-platform
  orgplane provisioner start --key-file cluster.key   Run that organization's jobs here
  orgplane templates push hello --org data-platform   Upload the template in this folder
  orgplane create first --template hello              Start a workspace of it

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.";

/// A self-hosted control plane for platform teams.
#[derive(Debug, Parser)]
#[command(name = "orgplane", version, after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The log on stderr; ORGPLANE_LOG or RUST_LOG filters it (for example `debug` or `orgplane_server=debug,info`).
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Log {
    /// How log lines on stderr look.
    #[arg(long, env = "ORGPLANE_LOG_FORMAT", value_enum, default_value = "human")]
    pub(crate) log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    /// Its name on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Json => "json",
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the control plane: gRPC and REST on one address.
    Server(Box<Server>),
    /// Run the REST gateway alone, before a control plane elsewhere.
    Gateway(Box<Gateway>),
    /// Run provisioner daemons, and manage their keys.
    #[command(visible_alias = "provisioners", subcommand)]
    Provisioner(Provisioner),
    /// The documented older name of `provisioner`.
    #[command(hide = true, subcommand)]
    Provisionerd(Provisionerd),
    /// Manage organizations.
    #[command(visible_aliases = ["organization", "orgs", "org"], subcommand)]
    Organizations(Organizations),
    /// Manage users.
    #[command(visible_alias = "user", subcommand)]
    Users(Users),
    /// Manage tokens: for programs that call on your behalf.
    #[command(visible_alias = "token", subcommand)]
    Tokens(Tokens),
    /// Read the audit log: who changed what.
    #[command(subcommand)]
    Audit(Audit),
    /// Upload templates and manage them.
    #[command(visible_alias = "template", subcommand)]
    Templates(Templates),
    /// Create a workspace from a template, and wait until it is started.
    Create(Create),
    /// Start a workspace, and wait for it.
    Start(StartWorkspace),
    /// Stop a workspace, and wait for it.
    Stop(StopWorkspace),
    /// Delete a workspace with all that it made, and wait for it.
    #[command(visible_alias = "rm")]
    Delete(DeleteWorkspace),
    /// List workspaces.
    #[command(visible_alias = "ls")]
    List(ListWorkspaces),
    /// Show a workspace, its latest build and its resources.
    Show(ShowWorkspace),
    /// Print the log of a workspace's build.
    Logs(Logs),
    /// Sign in to a server and remember it.
    Login(Login),
    /// End the session and forget it.
    Logout(Logout),
    /// Say who you are signed in as, and where.
    Whoami(Whoami),
    /// See it work: a server, an organization, a daemon and a workspace in a temporary folder.
    Demo(Demo),
    /// Print a completion script.
    #[command(
        after_help = "Example:\n  orgplane completion bash > ~/.local/share/bash-completion/completions/orgplane"
    )]
    Completion {
        /// The shell to complete in.
        shell: Shell,
    },
    /// Print the version.
    #[command(after_help = "Example:\n  orgplane version -o json")]
    Version(Output),
}

impl Command {
    /// The settings of the log, where there is one that somebody keeps.
    pub(crate) fn log(&self) -> Option<&Log> {
        match self {
            Self::Server(args) => Some(&args.log),
            Self::Gateway(args) => Some(&args.log),
            Self::Provisioner(Provisioner::Start(args)) | Self::Provisionerd(Provisionerd::Start(args)) => {
                Some(&args.log)
            }
            _ => None,
        }
    }
}

fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.trim().to_owned())),
        _ => Err("give it as key=value".to_owned()),
    }
}

fn parse_permission(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((resource, action)) if !resource.is_empty() && !action.is_empty() => {
            Ok((resource.to_owned(), action.to_owned()))
        }
        _ => Err("give it as resource:action, for example template:update".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Args::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_definition_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn documented_commands_and_aliases_parse() {
        for line in [
            "orgplane provisioner keys create data-cluster-key --org data-platform",
            "orgplane provisioners key create k -O x -t region=east --tag size=large -o json",
            "orgplane provisioner keys ls --org x",
            "orgplane provisioner keys rm k --org x --yes",
            "orgplane provisioner ls --show-offline",
            "orgplane provisionerd start --key=k",
            "orgplane provisionerd start --org data-platform",
            "orgplane provisioner start --capacity 4 --engine terraform --engine echo",
            "orgplane provisioner shim --dir /x",
            "orgplane organizations list -o json",
            "orgplane organizations members ls --org x --search status:active",
            "orgplane org members add ada -O x",
            "orgplane organizations members edit-roles ada organization-admin key-maker",
            "orgplane organizations members rm ada",
            "orgplane organizations roles show key-maker -o json",
            "orgplane organizations roles create key-maker --permission a:b,c:d --permission e:f --display-name K",
            "orgplane organizations roles create --stdin",
            "orgplane organizations roles update key-maker --display-name=",
            "orgplane organizations roles delete key-maker --yes",
            "orgplane orgs ls",
            "orgplane org create data-platform",
            "orgplane organization create data-platform --display-name Data",
            "orgplane server --http-address 127.0.0.1:0 --provisioner-daemons 0 --lease 3s --apply-lost-after 1m",
            "orgplane server --tls-cert-file c --tls-key-file k --grpc-address 127.0.0.1:0 --tls-client-ca-file ca",
            "orgplane server --trusted-proxies 10.0.0.0/8,::1",
            "orgplane gateway --server-url https://x --header A=b --header C=d --tls-ca-file ca",
            "orgplane login http://127.0.0.1:3000 --first-user-username ada --first-user-email ada@example.com",
            "orgplane demo --exit --engine echo",
            "orgplane completion bash",
            "orgplane version",
            "orgplane organizations show --only-id",
            "orgplane organizations show me -o json",
            "orgplane org delete data-platform -y",
            "orgplane provisioner jobs ls -s pending,running -l 10 -i me -c id,queue",
            "orgplane provisioner job cancel 01995a3c-7d5e-7b1f-8a52-3f0c3a1e9b11 -O x",
            "orgplane users create -u ada -e ada@example.com --password-file -",
            "orgplane user ls -c username,created_at",
            "orgplane users rm ada -y",
            "orgplane users edit-roles ada --roles owner,auditor",
            "orgplane templates push hello -d . -y --variable a=b --variables-file f --activate=false",
            "orgplane templates push --activate -m text",
            "orgplane template ls",
            "orgplane templates rm a b -y",
            "orgplane create first -t hello -y",
            "orgplane ls -a",
            "orgplane rm first --orphan -y",
            "orgplane logs first -f -n 2",
        ] {
            parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }

    /// Every command that a person may give, with its path.
    fn commands(command: &clap::Command, path: &str, found: &mut Vec<(String, clap::Command)>) {
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
            let path = format!("{path} {}", sub.get_name());
            commands(sub, &path, found);
            found.push((path, sub.clone()));
        }
    }

    #[test]
    fn every_command_has_an_example_and_every_example_parses() {
        let mut found = vec![("orgplane".to_owned(), Args::command())];
        commands(&Args::command(), "orgplane", &mut found);
        for (path, command) in found {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            // A line that goes on is one example with the next; a remark on a line of its own stands further in.
            let help = help.replace("\\\n    ", "");
            let examples = help.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
            let examples: Vec<_> = examples.collect();
            assert!(!examples.is_empty() || command.has_subcommands(), "{path} has no example");
            for example in examples {
                let words = words(example);
                let start = words.iter().position(|word| word == "orgplane");
                let words = words.get(start.expect("an example is a command")..).unwrap();
                // What follows is for the shell, or says what the example does.
                let end = words.iter().position(|word| matches!(word.as_str(), ">" | "<" | "|" | "#"));
                let words = words.get(..end.unwrap_or(words.len())).unwrap();
                Args::try_parse_from(words).unwrap_or_else(|error| panic!("{path}: {example}: {error}"));
            }
        }
    }

    /// As a shell splits an example, which ends where two spaces begin a remark.
    fn words(line: &str) -> Vec<String> {
        let line = line.trim_start();
        let line = line.split_once("  ").map_or(line, |(command, _)| command);
        let mut words = vec![String::new()];
        let mut quoted = false;
        for c in line.chars() {
            match c {
                '\'' => quoted = !quoted,
                ' ' if !quoted => words.push(String::new()),
                c => words.last_mut().unwrap().push(c),
            }
        }
        words
    }

    #[test]
    fn completion_offers_only_what_help_shows() {
        let hidden = ["shim", "provisionerd", "--key-fd"];
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = crate::commands::completion::script(shell).unwrap();
            assert!(script.contains("provisioner") && script.contains("whoami"), "{shell}");
            for word in hidden {
                let offered = script.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').any(|found| found == word);
                assert!(!offered, "{shell} offers {word}");
            }
        }
    }

    #[test]
    fn wrong_values_are_refused() {
        for (line, says) in [
            ("orgplane provisioner keys create k --tag region", "key=value"),
            ("orgplane provisioner keys create k --tag =x", "key=value"),
            ("orgplane provisioner start --capacity 0", "0 is not in"),
            ("orgplane provisioner start --capacity 1001", "1001 is not in"),
            ("orgplane server --provisioner-daemons 65", "65"),
            ("orgplane server --http-address localhost", "--http-address"),
            ("orgplane demo --http-address 0.0.0.0:0", "loopback"),
            ("orgplane demo --http-address 10.0.0.1:3000", "loopback"),
            ("orgplane demo --http-address localhost:3000", "127.0.0.1:PORT"),
            ("orgplane org ls --token a --token-file b", "cannot be used"),
            ("orgplane server --tls-cert-file c", "--tls-key-file"),
            ("orgplane server --tls-client-ca-file c", "--grpc-address"),
            ("orgplane server --trusted-proxies 10.0.0.0/33", "--trusted-proxies"),
            ("orgplane gateway", "--server-url"),
            ("orgplane server --lease 3parsecs", "--lease"),
            ("orgplane provisioner start --key a --key-file b", "cannot be used"),
            ("orgplane provisioner jobs list --limit 0", "--limit"),
            ("orgplane provisioner jobs list --status happy", "--status"),
            ("orgplane provisioner jobs list -c color", "created at"),
            ("orgplane provisioner jobs cancel", "<JOB>"),
            ("orgplane organizations edit data-platform", "--description"),
            ("orgplane organizations roles create", "<NAME>"),
            ("orgplane organizations roles create a --stdin", "cannot be used"),
            ("orgplane organizations roles create a --permission template", "resource:action"),
            ("orgplane organizations roles update a", "--permission"),
            ("orgplane organizations members list -c color", "organization roles"),
            ("orgplane organizations show --only-id -o json", "cannot be used"),
            ("orgplane users create --username ada", "--email"),
            ("orgplane users create -u a -e a@b --password secret", "--password"),
            ("orgplane users edit-roles ada", "--roles"),
            ("orgplane templates push --variable x", "key=value"),
            ("orgplane templates delete", "<TEMPLATES>"),
            ("orgplane logs first --build 0", "--build"),
            ("orgplane list --all --search x", "cannot be used"),
            ("orgplane completion tcsh", "possible values"),
        ] {
            let error = parse(line).unwrap_err().to_string();
            assert!(error.contains(says), "{line}: {error}");
        }
    }

    #[test]
    fn secrets_are_not_in_debug_output() {
        for line in [
            "orgplane provisioner start --key orgp_secret",
            "orgplane organizations list --token secret",
            "orgplane org ls --header X-A=secret",
        ] {
            let shown = format!("{:?}", parse(line).unwrap());
            assert!(!shown.contains("secret"), "{shown}");
        }
    }
}

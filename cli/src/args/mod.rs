//! The command line, as types without logic.

mod connection;
mod demo;
mod gateway;
mod listen;
mod login;
mod organizations;
mod provisioner;
mod route;
mod server;

use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub(crate) use connection::{Connection, Organization, Output};
pub(crate) use demo::{Demo, Engine};
pub(crate) use gateway::Gateway;
pub(crate) use listen::Listen;
pub(crate) use login::Login;
pub(crate) use organizations::Organizations;
pub(crate) use provisioner::{
    CreateKey, DaemonState, DeleteKey, Keys, List, ListKeys, Provisioner, Provisionerd, Start,
};
pub(crate) use route::Route;
pub(crate) use server::{BuiltIn, Server, Timing};

const EXAMPLES: &str = "\
Examples:
  orgplane demo --exit                              See it work
  orgplane server                                   Run a control plane on 127.0.0.1:3000
  orgplane login http://127.0.0.1:3000              Sign in; creates the first user of a fresh server
  orgplane organizations create data-platform
  orgplane provisioner keys create cluster --org data-platform
  orgplane provisioner start --key-file cluster.key Run that organization's jobs here";

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
    /// Sign in to a server and remember it.
    Login(Login),
    /// See it work: a server, an organization, a daemon and a workspace in a temporary folder.
    Demo(Demo),
    /// Print a completion script, for example `source <(orgplane completion bash)`.
    Completion {
        /// The shell to complete in.
        shell: Shell,
    },
    /// Print the version.
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
        ] {
            parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }

    #[test]
    fn wrong_values_are_refused() {
        for (line, says) in [
            ("orgplane provisioner keys create k --tag region", "key=value"),
            ("orgplane provisioner keys create k --tag =x", "key=value"),
            ("orgplane provisioner start --capacity 0", "0 is not in"),
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

//! `orgplane provisioner`.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::jobs::{Jobs, Yes};
use super::{Connection, Engine, Log, Memory, Organization, Output, Route};

#[derive(Debug, Subcommand)]
pub(crate) enum Provisioner {
    /// Run a provisioner daemon: it takes its organization's jobs and runs Terraform or OpenTofu for them.
    Start(Box<Start>),
    /// Manage the keys with which daemons connect.
    #[command(visible_alias = "key", subcommand)]
    Keys(Keys),
    /// List an organization's provisioner daemons.
    #[command(visible_alias = "ls")]
    List(List),
    /// List and cancel an organization's jobs.
    #[command(visible_alias = "job", subcommand)]
    Jobs(Jobs),
    /// Runs one engine command beside a daemon, which may die before it ends.
    #[command(hide = true)]
    Shim {
        /// The command's folder.
        #[arg(long)]
        dir: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Provisionerd {
    /// Run a provisioner daemon.
    Start(Box<Start>),
}

const START_EXAMPLES: &str = "\
Examples:
  orgplane provisioner start --url https://orgplane.example.com --key-file cluster.key
  ORGPLANE_URL=http://127.0.0.1:3000 ORGPLANE_PROVISIONER_DAEMON_KEY=orgp_… orgplane provisioner start --capacity 4
  HTTPS_PROXY=http://user:password@proxy.internal:3128 orgplane provisioner start --url https://orgplane.example.com \\
    --tls-ca-file company-ca.pem --header-file access.headers --key-file cluster.key

SIGTERM ends it: it takes no more jobs, and running ones have --drain-timeout to end. After that, at a second signal, and
at SIGINT they are interrupted, and what they leave is handed in. A daemon that dies doesn't take its jobs along: the next
one with the same --work-dir goes on with them.";

#[derive(Args)]
#[command(after_help = START_EXAMPLES)]
pub(crate) struct Start {
    /// The server's URL [env: ORGPLANE_URL, CODER_URL].
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// The provisioner key. Other users of this machine can read a command line: prefer --key-file or the environment
    /// [env: ORGPLANE_PROVISIONER_DAEMON_KEY, CODER_PROVISIONER_DAEMON_KEY].
    #[arg(long, value_name = "KEY", conflicts_with = "key_file")]
    pub(crate) key: Option<String>,
    /// A file with the provisioner key [env: ORGPLANE_PROVISIONER_DAEMON_KEY_FILE].
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// The key by an inherited file descriptor: how the daemon hands it to itself.
    #[arg(long, hide = true, value_name = "FD", conflicts_with_all = ["key", "key_file"])]
    pub(crate) key_fd: Option<i32>,
    /// How a server starts its own daemons: the key is the first line of stdin, and the daemon ends when stdin does.
    #[arg(long, hide = true, conflicts_with_all = ["key", "key_file", "key_fd"])]
    pub(crate) supervised: bool,
    /// The server's URL as templates are told it, by default that of --url.
    #[arg(long, hide = true, value_name = "URL")]
    pub(crate) access_url: Option<String>,
    /// The daemon's name for people, by default the host's
    /// [env: ORGPLANE_PROVISIONER_DAEMON_NAME, CODER_PROVISIONER_DAEMON_NAME].
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The organization that the key is expected to be of, by name or id; a daemon with another's key ends. By default any
    /// [env: ORGPLANE_ORGANIZATION, CODER_ORGANIZATION].
    #[arg(short = 'O', long = "org", value_name = "ORGANIZATION")]
    pub(crate) organization: Option<String>,
    /// How many jobs to run at a time.
    #[arg(long, env = "ORGPLANE_PROVISIONER_CAPACITY", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=orgplane_daemon::MAX_CAPACITY.into()))]
    pub(crate) capacity: u32,
    /// The Terraform or OpenTofu program; by default `terraform`, then `tofu` on PATH.
    #[arg(long, value_name = "FILE", env = "ORGPLANE_TERRAFORM_PATH")]
    pub(crate) terraform_path: Option<PathBuf>,
    /// Where provider plugins are kept; daemons may share it.
    #[arg(long, value_name = "DIR", env = "ORGPLANE_CACHE_DIR")]
    pub(crate) cache_dir: Option<PathBuf>,
    /// Where jobs run; locked, one daemon's only.
    #[arg(long, value_name = "DIR", env = "ORGPLANE_WORK_DIR")]
    pub(crate) work_dir: Option<PathBuf>,
    /// Users that the engines run as, one job each at a time: names, numbers or ranges such as 200000-200003; as many as
    /// --capacity. Needs root. Without it templates have the rights of the daemon.
    #[arg(long, value_name = "USERS", env = "ORGPLANE_ENGINE_USER")]
    pub(crate) engine_user: Option<String>,
    /// Variables of the daemon's environment that templates get beyond PATH, HOME, language, proxies, certificates and
    /// TF_CLI_CONFIG_FILE, such as a cloud's credentials: names, or AWS_* for all that begin so; may be repeated.
    #[arg(long, value_name = "NAMES", env = "ORGPLANE_ENGINE_ENV", value_delimiter = ',')]
    pub(crate) engine_env: Vec<String>,
    /// Memory that each process of an engine may have, such as 512MiB or 4GiB; `none` for no limit.
    #[arg(long, value_name = "SIZE", env = "ORGPLANE_ENGINE_MEMORY_LIMIT", default_value_t)]
    pub(crate) engine_memory_limit: Memory,
    /// How long running jobs may take after SIGTERM until they are interrupted.
    #[arg(
        long, env = "ORGPLANE_DRAIN_TIMEOUT", default_value = "30m", value_parser = humantime::parse_duration,
        value_name = "DURATION"
    )]
    pub(crate) drain_timeout: Duration,
    /// Take one job, and end with it.
    #[arg(long, env = "ORGPLANE_RUN_ONCE")]
    pub(crate) run_once: bool,
    /// End after so long without a job; by default never.
    #[arg(long, env = "ORGPLANE_IDLE_EXIT", value_parser = humantime::parse_duration, value_name = "DURATION")]
    pub(crate) idle_exit: Option<Duration>,
    /// An engine to offer; may be repeated.
    #[arg(long = "engine", value_enum, default_value = "terraform", env = "ORGPLANE_ENGINES", value_delimiter = ',')]
    pub(crate) engines: Vec<Engine>,
    /// Where /healthz, /readyz and /metrics are served, without TLS and credentials; by default nowhere.
    #[arg(long, env = "ORGPLANE_HEALTH_ADDRESS", value_name = "ADDRESS")]
    pub(crate) health_address: Option<SocketAddr>,
    /// Allow http:// beyond this machine, for example to an ingress that ends TLS.
    #[arg(long, env = "ORGPLANE_INSECURE_PLAINTEXT")]
    pub(crate) insecure_plaintext: bool,
    #[command(flatten)]
    pub(crate) route: Route,
    #[command(flatten)]
    pub(crate) log: Log,
}

impl fmt::Debug for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Start").field("url", &self.url).field("name", &self.name).finish_non_exhaustive()
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Create a key; it is shown once.
    Create(CreateKey),
    /// List an organization's keys.
    #[command(visible_alias = "ls")]
    List(ListKeys),
    /// Delete a key; its daemons lose their connection.
    #[command(visible_alias = "rm")]
    Delete(DeleteKey),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  orgplane provisioner keys create cluster --org data-platform --tag region=east > cluster.key"
)]
pub(crate) struct CreateKey {
    /// The key's name.
    pub(crate) name: String,
    /// A tag of the daemons that use the key; may be repeated.
    #[arg(short, long = "tag", value_name = "KEY=VALUE", value_parser = super::parse_pair)]
    pub(crate) tags: Vec<(String, String)>,
    #[command(flatten)]
    pub(crate) organization: Organization,
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  orgplane provisioner keys list --org data-platform -c name,tags")]
pub(crate) struct ListKeys {
    /// The columns of the table.
    #[arg(short, long = "column", value_enum, value_delimiter = ',', ignore_case = true, default_values_t = KeyColumn::DEFAULT)]
    pub(crate) columns: Vec<KeyColumn>,
    #[command(flatten)]
    pub(crate) organization: Organization,
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  orgplane provisioner keys delete cluster --org data-platform --yes")]
pub(crate) struct DeleteKey {
    /// The key's name.
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) yes: Yes,
    #[command(flatten)]
    pub(crate) organization: Organization,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  orgplane provisioner list --org data-platform
  orgplane provisioner list --show-offline --max-age 24h -c name,status,tags")]
pub(crate) struct List {
    /// How many at most; 0 for all.
    #[arg(short, long, default_value = "50", value_parser = clap::value_parser!(i32).range(0..))]
    pub(crate) limit: i32,
    /// List those that are offline, too.
    #[arg(short = 'f', long)]
    pub(crate) show_offline: bool,
    /// Only those in one of these states.
    #[arg(short, long, value_enum, value_delimiter = ',')]
    pub(crate) status: Vec<DaemonState>,
    /// Only those seen within this time, such as `1h`.
    #[arg(short, long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) max_age: Option<Duration>,
    /// The columns of the table.
    #[arg(short, long = "column", value_enum, value_delimiter = ',', ignore_case = true, default_values_t = DaemonColumn::DEFAULT)]
    pub(crate) columns: Vec<DaemonColumn>,
    #[command(flatten)]
    pub(crate) organization: Organization,
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum DaemonState {
    Offline,
    Idle,
    Busy,
}

/// A column of a list of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub(crate) enum KeyColumn {
    #[value(name = "created at")]
    CreatedAt,
    Name,
    Tags,
}

impl KeyColumn {
    const DEFAULT: [Self; 3] = [Self::CreatedAt, Self::Name, Self::Tags];
}

/// A column of a list of daemons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub(crate) enum DaemonColumn {
    Id,
    #[value(name = "organization id")]
    OrganizationId,
    #[value(name = "created at")]
    CreatedAt,
    #[value(name = "last seen at")]
    LastSeenAt,
    #[value(name = "key name")]
    KeyName,
    Name,
    Version,
    #[value(name = "api version")]
    ApiVersion,
    Status,
    #[value(name = "current job id")]
    CurrentJobId,
    #[value(name = "current job status")]
    CurrentJobStatus,
    #[value(name = "current job template name")]
    CurrentJobTemplateName,
    #[value(name = "current job template icon")]
    CurrentJobTemplateIcon,
    #[value(name = "current job template display name")]
    CurrentJobTemplateDisplayName,
    #[value(name = "previous job id")]
    PreviousJobId,
    #[value(name = "previous job status")]
    PreviousJobStatus,
    #[value(name = "previous job template name")]
    PreviousJobTemplateName,
    #[value(name = "previous job template icon")]
    PreviousJobTemplateIcon,
    #[value(name = "previous job template display name")]
    PreviousJobTemplateDisplayName,
    Tags,
    Organization,
}

impl DaemonColumn {
    const DEFAULT: [Self; 7] =
        [Self::CreatedAt, Self::LastSeenAt, Self::KeyName, Self::Name, Self::Version, Self::Status, Self::Tags];
}

//! `orgplane server`.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{Engine, Listen, Log, Memory};

const EXAMPLES: &str = "\
Examples:
  orgplane server                                           SQLite in the user's data folder
  orgplane server --data-dir /var/lib/orgplane
  ORGPLANE_DATABASE_URL=postgres://orgplane@db/orgplane orgplane server --data-dir /var/lib/orgplane
  orgplane server --http-address 0.0.0.0:3000 --insecure-plaintext --access-url https://orgplane.example.com
                                                            Behind an ingress that ends TLS
  orgplane server --http-address 0.0.0.0:443 --tls-cert-file orgplane.pem --tls-key-file orgplane.key
  orgplane server --http-address 0.0.0.0:443 --tls-cert-file orgplane.pem --tls-key-file orgplane.key \\
    --grpc-address 0.0.0.0:8443 --tls-client-ca-file daemons-ca.pem
                                                            gRPC for those who have a client certificate only

It prints one line on stdout when it is ready. /healthz says that it lives, /readyz that it can serve.
Tests may set ORGPLANE_RECORD_EXCHANGES to a file that gets every REST exchange, secrets included.";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Server {
    #[command(flatten)]
    pub(crate) listen: Listen,
    /// Where /metrics is served, without TLS and credentials; by default nowhere. It names organizations and tags: let nobody
    /// reach it who may not know them.
    #[arg(long, env = "ORGPLANE_METRICS_ADDRESS", value_name = "ADDRESS")]
    pub(crate) metrics_address: Option<SocketAddr>,
    /// Serve gRPC at an address of its own, and there only.
    #[arg(long, env = "ORGPLANE_GRPC_ADDRESS", value_name = "ADDRESS")]
    pub(crate) grpc_address: Option<SocketAddr>,
    /// Take gRPC calls only from clients that show a certificate of the authorities in this PEM file.
    #[arg(long, env = "ORGPLANE_TLS_CLIENT_CA_FILE", requires_all = ["grpc_address", "tls_cert_file"], value_name = "FILE")]
    pub(crate) tls_client_ca_file: Option<PathBuf>,
    /// sqlite:///absolute/file.db or postgres://user@host/database; by default orgplane.db in the data folder. A password
    /// on a command line can be read by other users of this machine: prefer the environment
    /// [env: ORGPLANE_DATABASE_URL].
    #[arg(long, value_name = "URL")]
    pub(crate) database_url: Option<String>,
    /// A PostgreSQL URL at which servers of one deployment hear of each other, when --database-url is a pooler's, which
    /// can't pass that on [env: ORGPLANE_DATABASE_LISTEN_URL].
    #[arg(long, value_name = "URL")]
    pub(crate) database_listen_url: Option<String>,
    /// Where the embedded database, the sealing key and caches are; by default the user's data folder.
    #[arg(long, env = "ORGPLANE_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// The key that seals sensitive columns; by default sealing.key in the data folder, made when it isn't there.
    #[arg(long, env = "ORGPLANE_SEALING_KEY_FILE", value_name = "FILE")]
    pub(crate) sealing_key_file: Option<PathBuf>,
    /// Users who weren't here for this long show as dormant until they come back; 0s for never.
    #[arg(
        long, env = "ORGPLANE_DORMANCY_THRESHOLD", default_value = "90d", value_parser = humantime::parse_duration,
        value_name = "DURATION"
    )]
    pub(crate) dormancy_threshold: Duration,
    #[command(flatten)]
    pub(crate) built_in: BuiltIn,
    #[command(flatten)]
    pub(crate) timing: Timing,
    #[command(flatten)]
    pub(crate) policy: Policy,
    #[command(flatten)]
    pub(crate) log: Log,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("http_address", &self.listen.http_address).finish_non_exhaustive()
    }
}

/// Daemons that the server runs itself.
#[derive(Debug, Args)]
#[command(next_help_heading = "Built-in provisioner daemons")]
pub(crate) struct BuiltIn {
    /// How many daemons to run beside this server, for the default organization; 0 for none. What their templates run can
    /// read the server's files: they are for templates of people whom you trust with those.
    #[arg(
        long, env = "ORGPLANE_PROVISIONER_DAEMONS", default_value = "3", value_name = "N",
        value_parser = clap::value_parser!(u32).range(0..=64)
    )]
    pub(crate) provisioner_daemons: u32,
    /// An engine for them to offer; may be repeated.
    #[arg(
        long = "provisioner-types",
        value_enum,
        default_value = "terraform",
        env = "ORGPLANE_PROVISIONER_TYPES",
        value_delimiter = ',',
        value_name = "ENGINE"
    )]
    pub(crate) provisioner_types: Vec<Engine>,
    /// Their name, to which a number is added; by default the host's.
    #[arg(long, env = "ORGPLANE_PROVISIONER_NAME", value_name = "NAME")]
    pub(crate) provisioner_name: Option<String>,
    /// How long their running jobs may take when the server is to end; a second signal interrupts them.
    #[arg(
        long, env = "ORGPLANE_PROVISIONER_DRAIN", default_value = "30m", value_parser = humantime::parse_duration,
        value_name = "DURATION"
    )]
    pub(crate) provisioner_drain: Duration,
    /// Memory that each process of an engine may have, such as 512MiB or 4GiB; `none` for no limit.
    #[arg(long, value_name = "SIZE", env = "ORGPLANE_ENGINE_MEMORY_LIMIT", default_value_t)]
    pub(crate) engine_memory_limit: Memory,
    /// The Terraform or OpenTofu program; by default `terraform`, then `tofu` on PATH.
    #[arg(long, value_name = "FILE", env = "ORGPLANE_TERRAFORM_PATH")]
    pub(crate) terraform_path: Option<PathBuf>,
}

/// What tests and operators change together; durations such as `90s` or `15m`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Provisioner timing")]
pub(crate) struct Timing {
    /// Silence after which a job that changed nothing is started elsewhere.
    #[arg(long, env = "ORGPLANE_LEASE", default_value = "90s", value_parser = humantime::parse_duration)]
    pub(crate) lease: Duration,
    /// Silence after which a job that may have changed things is given up.
    #[arg(long, env = "ORGPLANE_APPLY_LOST_AFTER", default_value = "15m", value_parser = humantime::parse_duration)]
    pub(crate) apply_lost_after: Duration,
    /// How often daemons report.
    #[arg(long, env = "ORGPLANE_HEARTBEAT_INTERVAL", default_value = "5s", value_parser = humantime::parse_duration)]
    pub(crate) heartbeat_interval: Duration,
    /// Silence after which a daemon gets no jobs and shows as offline.
    #[arg(long, env = "ORGPLANE_CONTACT_LOST_AFTER", default_value = "15s", value_parser = humantime::parse_duration)]
    pub(crate) contact_lost_after: Duration,
    /// How often lapsed leases are looked for.
    #[arg(long, env = "ORGPLANE_REAP_INTERVAL", default_value = "5s", value_parser = humantime::parse_duration)]
    pub(crate) reap_interval: Duration,
    /// A job that no daemon took for this long fails; by default it waits.
    #[arg(long, env = "ORGPLANE_PENDING_TIMEOUT", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) pending_timeout: Option<Duration>,
    /// How often work is looked for that nobody announced.
    #[arg(long, env = "ORGPLANE_POLL_INTERVAL", default_value = "2s", value_parser = humantime::parse_duration)]
    pub(crate) poll_interval: Duration,
    /// A job is interrupted after this, and fails.
    #[arg(long, env = "ORGPLANE_JOB_TIMEOUT", default_value = "4h", value_parser = humantime::parse_duration)]
    pub(crate) job_timeout: Duration,
    /// Bytes of log that a job may have.
    #[arg(long, env = "ORGPLANE_JOB_LOG_LIMIT", default_value = "1048576", value_name = "BYTES")]
    pub(crate) job_log_limit: u64,
}

/// What people may do how often, and what is kept of it.
#[derive(Debug, Args)]
#[command(next_help_heading = "People")]
pub(crate) struct Policy {
    /// Calls of one operation that a user may make in a minute, or an address where nobody is signed in; 0 for any number.
    /// Each server counts for itself.
    #[arg(long, env = "ORGPLANE_RATE_LIMIT_PER_MINUTE", default_value = "512", value_name = "N")]
    pub(crate) rate_limit_per_minute: u32,
    /// The same of operations that take a password.
    #[arg(long, env = "ORGPLANE_LOGIN_RATE_LIMIT_PER_MINUTE", default_value = "60", value_name = "N")]
    pub(crate) login_rate_limit_per_minute: u32,
    /// The same of uploads of archives.
    #[arg(long, env = "ORGPLANE_UPLOAD_RATE_LIMIT_PER_MINUTE", default_value = "12", value_name = "N")]
    pub(crate) upload_rate_limit_per_minute: u32,
    /// The longest lifetime that a token can be given.
    #[arg(
        long, env = "ORGPLANE_MAX_TOKEN_LIFETIME", default_value = "876600h", value_parser = humantime::parse_duration,
        value_name = "DURATION"
    )]
    pub(crate) max_token_lifetime: Duration,
    /// Delete entries of the audit log that are older, such as 365d; by default they are kept.
    #[arg(long, env = "ORGPLANE_AUDIT_RETENTION", value_parser = humantime::parse_duration, value_name = "DURATION")]
    pub(crate) audit_retention: Option<Duration>,
}

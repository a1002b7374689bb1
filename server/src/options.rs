//! What an operator can set of the server.

use std::path::PathBuf;
use std::time::Duration;

/// Settings of a server, validated by whoever fills them in before anything binds.
#[derive(Debug, Clone)]
pub struct Options {
    /// `sqlite:///absolute/path.db` or `postgres://…`.
    pub database_url: DatabaseUrl,
    /// Where servers hear of each other, when something stands before the database that can't pass that on; by default
    /// `database_url`. Only with PostgreSQL.
    pub database_listen_url: Option<DatabaseUrl>,
    /// Holds the sealing key and caches.
    pub data_dir: PathBuf,
    /// The sealing key's file; by default `sealing.key` in the data directory, made when it isn't there.
    pub sealing_key_file: Option<PathBuf>,
    /// Who wasn't seen for so long is marked as dormant; nobody where it isn't said.
    pub dormancy_threshold: Option<Duration>,
    /// Timing of the daemons' sessions.
    pub provisioners: Provisioners,
    /// What people may do.
    pub policy: Policy,
}

/// What people may do how often, and what is kept of it.
#[derive(Debug, Clone)]
pub struct Policy {
    /// No token lives longer.
    pub max_token_lifetime: Duration,
    /// Calls of one method by one user, or from one address where nobody is signed in; 0 for any number.
    pub calls_per_minute: u32,
    /// The same of methods that take a password.
    pub logins_per_minute: u32,
    /// The same of uploads of archives.
    pub uploads_per_minute: u32,
    /// Entries of the audit log that are older are deleted; never where it isn't said.
    pub audit_retention: Option<Duration>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_token_lifetime: Duration::from_secs(876_600 * 60 * 60),
            calls_per_minute: 512,
            logins_per_minute: 60,
            uploads_per_minute: 12,
            audit_retention: None,
        }
    }
}

/// A database URL; may hold a password, so it isn't printed.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(pub String);

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Timing and limits of provisioner daemons and their jobs.
#[derive(Debug, Clone)]
pub struct Provisioners {
    /// How long a lease is good without contact before the apply permit.
    pub lease: Duration,
    /// The same after the permit: what may have changed things is waited for longer.
    pub apply_lost_after: Duration,
    /// How often daemons send heartbeats; renewals are acknowledged as often.
    pub heartbeat: Duration,
    /// A daemon not heard of for this long is offline and gets no jobs.
    pub contact_lost_after: Duration,
    /// How often the reaper looks for lapsed leases.
    pub reap_interval: Duration,
    /// How often the dispatcher looks for work that nobody woke it for.
    pub poll_interval: Duration,
    /// Bytes of log output that a job may have.
    pub log_limit: u64,
    /// Bytes of log output that a daemon may have unacknowledged for one job.
    pub log_credit: u64,
    /// A job is interrupted after this.
    pub job_time_limit: Duration,
    /// The URL under which people find the server; empty where it isn't known. Templates are told it.
    pub server_url: String,
    /// A job that waits longer fails; for ever where it isn't said.
    pub pending_timeout: Option<Duration>,
    /// How often a job that changed nothing is started again after its daemon was lost.
    pub max_attempts: u32,
}

impl Default for Provisioners {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(90),
            apply_lost_after: Duration::from_secs(15 * 60),
            heartbeat: Duration::from_secs(5),
            contact_lost_after: Duration::from_secs(15),
            reap_interval: Duration::from_secs(5),
            poll_interval: Duration::from_secs(2),
            log_limit: 1024 * 1024,
            log_credit: 256 * 1024,
            job_time_limit: Duration::from_secs(4 * 60 * 60),
            server_url: String::new(),
            pending_timeout: None,
            max_attempts: 3,
        }
    }
}

//! What ends the daemon.

use std::path::PathBuf;

/// Why [`crate::run`] ended. Whatever passes by itself (an unreachable server, a broken stream) is retried instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting breaks its rule.
    #[error("{field}: {rule}")]
    Config {
        /// The setting.
        field: &'static str,
        /// What it must be.
        rule: String,
    },
    /// The server doesn't take the key.
    #[error(
        "the server rejected the provisioner key ({0}); check that the key is complete and not deleted, or create a new \
         one with `orgplane provisioner keys create`"
    )]
    KeyRejected(String),
    /// The key was valid and is no longer.
    #[error("the provisioner key was revoked; create a new one with `orgplane provisioner keys create`")]
    KeyRevoked,
    /// The key is another organization's.
    #[error("the key doesn't belong to the organization {expected:?}: {detail}")]
    Organization {
        /// As configured.
        expected: String,
        /// What the server says.
        detail: String,
    },
    /// The server refuses this daemon for another reason that a retry won't change.
    #[error("the server refused this daemon: {0}")]
    Refused(String),
    /// There is nothing to run jobs with.
    #[error(
        "no engine found: {0}; install Terraform 1.4 or newer (https://developer.hashicorp.com/terraform/install) or \
         OpenTofu (https://opentofu.org/docs/intro/install), put it on PATH or name it with --terraform-path"
    )]
    NoEngine(String),
    /// Another daemon uses the work directory.
    #[error("the work directory {0} is in use by another daemon; give each daemon its own with --work-dir")]
    WorkDirLocked(PathBuf),
    /// A file or directory of the daemon's own can't be used.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

impl Error {
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}

impl From<orgplane_client::Setting> for Error {
    fn from(setting: orgplane_client::Setting) -> Self {
        Self::Config { field: setting.flag.trim_start_matches('-'), rule: setting.rule }
    }
}

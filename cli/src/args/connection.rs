//! What commands that talk to a server have in common.

use std::fmt;
use std::path::PathBuf;

use clap::Args;

use super::Route;
use crate::environment;
use crate::output::Format;

/// A server and who calls it.
#[derive(Args, Default)]
pub(crate) struct Connection {
    /// The server's URL, by default the one of the last login [env: ORGPLANE_URL, CODER_URL].
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// A session token instead of the last login's. Other users of this machine can read a command line: prefer
    /// --token-file or the environment [env: ORGPLANE_SESSION_TOKEN, CODER_SESSION_TOKEN].
    #[arg(long, value_name = "TOKEN", conflicts_with = "token_file")]
    pub(crate) token: Option<String>,
    /// A file with a session token; `-` is stdin.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Allow http:// beyond this machine, for example to an ingress that ends TLS.
    #[arg(long, env = "ORGPLANE_INSECURE_PLAINTEXT")]
    pub(crate) insecure_plaintext: bool,
    #[command(flatten)]
    pub(crate) route: Route,
}

impl Connection {
    /// The server's URL as the flag or the environment gives it.
    pub(crate) fn server(&self) -> Option<String> {
        self.url.clone().or_else(|| environment::first(environment::URL))
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Which organization.
#[derive(Debug, Args)]
pub(crate) struct Organization {
    /// The organization's name or id; not needed by members of only one [env: ORGPLANE_ORGANIZATION, CODER_ORGANIZATION].
    #[arg(short = 'O', long = "org", value_name = "ORGANIZATION")]
    org: Option<String>,
}

impl Organization {
    /// The organization as the flag or the environment gives it.
    pub(crate) fn named(&self) -> Option<String> {
        self.org.clone().or_else(|| environment::first(environment::ORGANIZATION))
    }
}

/// How data is written.
#[derive(Debug, Args)]
pub(crate) struct Output {
    /// How to write the data.
    #[arg(short, long = "output", id = "output", value_enum, default_value = "table", value_name = "FORMAT")]
    pub(crate) output: Format,
}

//! How a server is reached: certificates and headers. Proxies come from the environment.

use std::fmt;
use std::path::PathBuf;

use clap::Args;

/// The way to a server.
#[derive(Args, Clone, Default)]
pub(crate) struct Route {
    /// A PEM file with the authorities that may vouch for the server, instead of the operating system's.
    #[arg(long, env = "ORGPLANE_TLS_CA_FILE", value_name = "FILE")]
    pub(crate) tls_ca_file: Option<PathBuf>,
    /// A PEM file with the certificate to show to a server that asks for one.
    #[arg(long, env = "ORGPLANE_TLS_CLIENT_CERT_FILE", value_name = "FILE")]
    pub(crate) tls_client_cert_file: Option<PathBuf>,
    /// A PEM file with the key of that certificate.
    #[arg(long, env = "ORGPLANE_TLS_CLIENT_KEY_FILE", value_name = "FILE")]
    pub(crate) tls_client_key_file: Option<PathBuf>,
    /// A header of every call, for what stands in front of the server; may be repeated, in the environment one a line. Other
    /// users of this machine can read a command line: prefer --header-file for secrets.
    #[arg(
        long = "header",
        env = "ORGPLANE_HEADER",
        hide_env_values = true,
        value_delimiter = '\n',
        value_name = "NAME=VALUE"
    )]
    pub(crate) headers: Vec<String>,
    /// A file with further headers, one Name=Value a line.
    #[arg(long, env = "ORGPLANE_HEADER_FILE", value_name = "FILE")]
    pub(crate) header_file: Option<PathBuf>,
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route").field("tls_ca_file", &self.tls_ca_file).finish_non_exhaustive()
    }
}

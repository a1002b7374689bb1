//! How requests are taken in.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::forwarded::TrustedProxies;

/// A listener.
#[derive(Debug, Args)]
pub(crate) struct Listen {
    /// Where requests are taken; port 0 is a free one.
    #[arg(long, env = "ORGPLANE_HTTP_ADDRESS", default_value = "127.0.0.1:3000", value_name = "ADDRESS")]
    pub(crate) http_address: SocketAddr,
    /// The URL at which people and programs reach this, when it isn't the one that it listens at: with https, session
    /// cookies are for https only, and so are this site's own pages. A server tells it templates [env: ORGPLANE_ACCESS_URL, CODER_ACCESS_URL].
    #[arg(long, value_name = "URL")]
    pub(crate) access_url: Option<String>,
    /// Serve TLS with the certificates of this PEM file: its own first, then those up to its authority. Taken in anew when
    /// the file changes.
    #[arg(long, env = "ORGPLANE_TLS_CERT_FILE", requires = "tls_key_file", value_name = "FILE")]
    pub(crate) tls_cert_file: Option<PathBuf>,
    /// The PEM file with the certificate's key.
    #[arg(long, env = "ORGPLANE_TLS_KEY_FILE", requires = "tls_cert_file", value_name = "FILE")]
    pub(crate) tls_key_file: Option<PathBuf>,
    /// Serve without TLS beyond this machine, for example behind an ingress that ends TLS.
    #[arg(long, env = "ORGPLANE_INSECURE_PLAINTEXT")]
    pub(crate) insecure_plaintext: bool,
    /// Addresses or networks, with commas between them, whose X-Forwarded-For tells the client's address. They must set
    /// X-Request-Id themselves, or leave it out.
    #[arg(
        long,
        env = "ORGPLANE_TRUSTED_PROXIES",
        default_value = "",
        hide_default_value = true,
        value_name = "NETWORKS"
    )]
    pub(crate) trusted_proxies: TrustedProxies,
}

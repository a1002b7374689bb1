//! `orgplane gateway`.

use clap::Args;

use super::{Listen, Log, Route};

const EXAMPLES: &str = "\
Examples:
  orgplane gateway --server-url https://control.internal:3000 --tls-ca-file ca.pem --http-address 127.0.0.1:8080
  orgplane gateway --server-url https://control.internal:3000 --http-address 0.0.0.0:443 \\
    --tls-cert-file gateway.pem --tls-key-file gateway.key

The control plane has to list the gateway's address in its --trusted-proxies, or it takes the gateway for the client.
/healthz says that it lives, /readyz that the control plane answers.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Gateway {
    /// The control plane's URL.
    #[arg(long, env = "ORGPLANE_SERVER_URL", value_name = "URL")]
    pub(crate) server_url: String,
    #[command(flatten)]
    pub(crate) listen: Listen,
    #[command(flatten)]
    pub(crate) route: Route,
    #[command(flatten)]
    pub(crate) log: Log,
}

//! The gateway alone: the real program in a process of its own, before a deployment.

use crate::binary::command;
use crate::process::Process;
use crate::wait::LONG;

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    process: Process,
    url: String,
}

impl Gateway {
    /// Starts one before a control plane and waits until it listens.
    pub async fn start(server_url: &str, flags: &[&str]) -> Self {
        let mut command = command();
        command.args(["gateway", "--server-url", server_url, "--http-address", "127.0.0.1:0"]).args(flags);
        let mut process = Process::start("gateway", &mut command);
        let ready = |line: &str| line.strip_prefix("The gateway is ready at ").map(str::to_owned);
        let url = process.line(LONG, ready).await;
        Self { process, url }
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

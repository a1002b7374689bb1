//! The one binary of Orgplane: the server, the provisioner daemon and the user commands.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod archive;
mod args;
mod built_in;
mod client;
mod commands;
mod environment;
mod error;
mod forwarded;
mod interrupt;
mod job;
mod limits;
mod listener;
mod logging;
mod monitor;
mod output;
mod printable;
mod session;
mod signals;
mod taking;
mod terminal;
mod tls;
mod upload;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let args = args::Args::parse();
    let json = args.command.log().is_some_and(|log| log.log_format == args::LogFormat::Json);
    match commands::run(args) {
        Ok(code) => code,
        Err(error) if error::is_no_failure(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let text = error::render(&error);
            // Whoever asked for lines of JSON reads no others; before the log is set up there are none.
            if json && tracing::enabled!(tracing::Level::ERROR) {
                tracing::error!("{text}");
            } else {
                eprintln!("error: {text}");
            }
            error::exit_code(&error)
        }
    }
}

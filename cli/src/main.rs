//! The one binary of Orgplane: the server, the provisioner daemon and the user commands.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod address;
mod args;
mod client;
mod commands;
mod environment;
mod error;
mod listener;
mod logging;
mod output;
mod session;
mod signals;
mod terminal;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    match commands::run(args::Args::parse()) {
        Ok(code) => code,
        Err(error) if error::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", error::render(&error));
            error::exit_code(&error)
        }
    }
}

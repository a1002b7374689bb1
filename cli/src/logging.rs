//! The program's log: events on stderr.

use std::io::IsTerminal as _;

use anyhow::Result;
use tracing_subscriber::EnvFilter;

use crate::args::LogFormat;
use crate::environment;
use crate::error::Usage;

/// Says a line for each statement of the schema at every first start.
const QUIETER: &str = "sea_orm_migration=warn";

/// Starts logging. `ORGPLANE_LOG`, else `RUST_LOG`, says what is logged; else everything from `level` on.
pub(crate) fn init(format: LogFormat, level: &str) -> Result<()> {
    let directives = environment::first(&["ORGPLANE_LOG", "RUST_LOG"]).unwrap_or_else(|| format!("{level},{QUIETER}"));
    let filter = EnvFilter::builder()
        .parse(&directives)
        .map_err(|error| Usage::new(format!("ORGPLANE_LOG or RUST_LOG: {directives:?} is no log filter: {error}")))?;
    // A closed terminal takes no lines, and no complaints about that either.
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).log_internal_errors(false);
    match format {
        LogFormat::Human => builder.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).init(),
    }
    Ok(())
}

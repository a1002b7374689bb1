//! `orgplane version`.

use anyhow::Result;

use crate::output::{self, Format};

const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(crate) fn run(format: Format) -> Result<()> {
    match format {
        Format::Table => output::line(&format!("orgplane {VERSION}")),
        Format::Json => output::json(
            &serde_json::json!({ "version": VERSION, "protocol_version": orgplane_proto::PROTOCOL_VERSION }),
        ),
    }
}

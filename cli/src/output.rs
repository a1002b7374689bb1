//! Data goes to stdout, as a table for people or as the REST API's JSON; everything else goes to stderr.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Write as _};

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use prost_types::Timestamp;
use serde::Serialize;

use crate::error::ReaderGone;
use crate::printable::printable_line;

/// How data is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For programs: what the REST API answers.
    Json,
}

/// Writes a list with the chosen columns; an empty table is a sentence on stderr.
pub(crate) fn list<T: Serialize, C: ValueEnum>(
    format: Format,
    items: &[T],
    columns: &[C],
    cell: impl Fn(&T, &C) -> String,
    none: &str,
) -> Result<()> {
    match format {
        Format::Json => json(items),
        Format::Table if items.is_empty() => {
            progress(none);
            Ok(())
        }
        Format::Table => {
            let headers: Vec<_> = columns.iter().filter_map(ValueEnum::to_possible_value).collect();
            let headers: Vec<_> = headers.iter().map(|value| value.get_name()).collect();
            let rows = items.iter().map(|item| columns.iter().map(|column| cell(item, column)).collect());
            line(&table(&headers, rows))
        }
    }
}

/// Writes one thing as lines of a name and a value; those without a value are left out.
pub(crate) fn record(fields: &[(&str, String)]) -> Result<()> {
    let shown: Vec<_> = fields.iter().filter(|(_, value)| !value.is_empty()).collect();
    let width = shown.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let lines = shown.iter().map(|(name, value)| format!("{name:width$}  {}", printable_line(value)));
    line(&lines.collect::<Vec<_>>().join("\n"))
}

/// Writes a value as JSON.
pub(crate) fn json<T: Serialize + ?Sized>(value: &T) -> Result<()> {
    line(&serde_json::to_string_pretty(value)?)
}

/// Writes a line of data.
pub(crate) fn line(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(ReaderGone.into()),
        written => written.context("can't write to stdout"),
    }
}

/// What happens right now, for whoever watches; the terminal may be closed.
pub(crate) fn progress(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Rows below headers, aligned.
pub(crate) fn table(headers: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headers.iter().map(|header| header.to_uppercase()));
    for row in rows {
        table.add_row(row.iter().map(|cell| printable_line(cell)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// A time to the second.
pub(crate) fn time(time: Option<&Timestamp>) -> String {
    time.map(|time| Timestamp { seconds: time.seconds, nanos: 0 }.to_string()).unwrap_or_default()
}

/// Tags as `key=value` pairs.
pub(crate) fn tags(tags: &BTreeMap<String, String>) -> String {
    tags.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_align_and_have_no_trailing_space() {
        let rows = [vec!["a".to_owned(), "long value".to_owned()], vec!["longer".to_owned(), "b\u{7}".to_owned()]];
        let text = table(&["name", "tags"], rows.into_iter());
        assert_eq!(text, "NAME    TAGS\na       long value\nlonger  b\u{fffd}");
    }

    #[test]
    fn times_are_rfc_3339_to_the_second() {
        let written = time(Some(&Timestamp { seconds: 1_700_000_000, nanos: 5 }));
        assert_eq!(written, "2023-11-14T22:13:20Z");
        assert_eq!(time(None), "");
    }
}

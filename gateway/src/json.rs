//! JSON as the documented API writes it.

use std::io;

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

/// The type of every JSON body.
pub(crate) const TYPE: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// A response whose body is the value with a final newline.
pub(crate) fn response<T: Serialize + ?Sized>(status: StatusCode, value: &T) -> serde_json::Result<Response> {
    let mut bytes = Vec::with_capacity(256);
    write(&mut bytes, value)?;
    bytes.push(b'\n');
    Ok((status, [(header::CONTENT_TYPE, TYPE)], Body::from(bytes)).into_response())
}

/// Appends a value, escaped so that no HTML parser could find markup in it.
pub(crate) fn write<T: Serialize + ?Sized>(into: &mut Vec<u8>, value: &T) -> serde_json::Result<()> {
    value.serialize(&mut serde_json::Serializer::with_formatter(into, HtmlSafe))
}

struct HtmlSafe;

impl serde_json::ser::Formatter for HtmlSafe {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let special = |c: char| matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}');
        for part in fragment.split_inclusive(special) {
            match part.chars().next_back().filter(|c| special(*c)) {
                Some(last) => {
                    writer.write_all(&part.as_bytes()[..part.len() - last.len_utf8()])?;
                    write!(writer, "\\u{:04x}", u32::from(last))?;
                }
                None => writer.write_all(part.as_bytes())?,
            }
        }
        Ok(())
    }
}

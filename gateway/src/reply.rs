//! Successful answers, and JSON as the documented API writes it.

use std::io;

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::error::{Answer, Error};

/// The type of every JSON body.
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// A JSON body with a final newline.
pub(crate) fn json<T: Serialize + ?Sized>(status: u16, value: &T) -> Answer {
    let mut bytes = Vec::with_capacity(256);
    write_json(&mut bytes, value)?;
    bytes.push(b'\n');
    let status = StatusCode::from_u16(status).map_err(Error::internal)?;
    Ok((status, [(header::CONTENT_TYPE, JSON)], Body::from(bytes)).into_response())
}

/// A 204.
pub(crate) fn no_content() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// Appends a value, escaped so that no HTML parser could find markup in it.
pub(crate) fn write_json<T: Serialize + ?Sized>(into: &mut Vec<u8>, value: &T) -> Result<(), Error> {
    let mut serializer = serde_json::Serializer::with_formatter(into, HtmlSafe);
    value.serialize(&mut serializer).map_err(Error::internal)
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

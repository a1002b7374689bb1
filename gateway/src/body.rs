//! Request bodies: JSON straight into the message of the call.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::StatusCode;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::Gateway;
use crate::error::Error;
use crate::strict::Strict;

/// The largest JSON body.
const LIMIT: usize = 1024 * 1024;
const DRAINED: usize = 100 * 1024 * 1024;
const DRAIN_TIME: Duration = Duration::from_secs(5);
const INVALID: &str = "The request body is not valid JSON for this operation.";

/// Reads a JSON object into a message.
///
/// # Errors
/// 400 when it is none, 408 when it takes too long to come, 413 when it is too large.
pub(crate) async fn read<T: DeserializeOwned + Default>(mut body: Body, gateway: &Gateway) -> Result<T, Error> {
    let collected = tokio::time::timeout(gateway.options.timeout, Limited::new(&mut body, LIMIT).collect()).await;
    match collected.map_err(|_| too_slow())? {
        Ok(bytes) => parse(&bytes.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            drain(body.into_data_stream()).await;
            let detail = format!("At most {LIMIT} bytes are accepted.");
            Err(Error::new(StatusCode::PAYLOAD_TOO_LARGE, "The request body is too large.").detail(detail))
        }
        Err(_) => Err(broken_off()),
    }
}

/// Reads on for a while what nobody wants: a connection that is closed with unread bytes is reset, and the client would
/// never see why.
pub(crate) async fn drain(mut body: BodyDataStream) {
    let read = async {
        let mut taken = 0;
        while let Some(Ok(data)) = body.next().await {
            taken += data.len();
            if taken > DRAINED {
                return;
            }
        }
    };
    // Whoever is slower than that may see a reset.
    let _ = tokio::time::timeout(DRAIN_TIME, read).await;
}

/// The client went away, or sent what isn't HTTP.
pub(crate) fn broken_off() -> Error {
    Error::bad_request("The request body ended early.")
}

/// The body stopped coming.
pub(crate) fn too_slow() -> Error {
    Error::new(StatusCode::REQUEST_TIMEOUT, "The request body took too long to arrive.")
}

fn parse<T: DeserializeOwned + Default>(bytes: &Bytes) -> Result<T, Error> {
    let text = bytes.trim_ascii();
    if text.is_empty() {
        return Err(invalid("The body is empty; a JSON object is required."));
    }
    if text == b"null" {
        return Ok(T::default());
    }
    if has_nul(text) {
        return Err(invalid("Strings must not have NUL characters (\\u0000)."));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let message = serde_path_to_error::deserialize(Strict(&mut deserializer)).map_err(|error| {
        let path = error.path().to_string();
        let error = error.into_inner();
        if error.classify() != Category::Data || path == "." {
            return invalid(describe(&error));
        }
        let fault = describe(&error);
        invalid(format!("{path}: {fault}")).violation(path, fault)
    })?;
    deserializer.end().map_err(|error| invalid(describe(&error)))?;
    Ok(message)
}

fn invalid(detail: impl Into<String>) -> Error {
    Error::bad_request(INVALID).detail(detail)
}

/// Whether a string in a JSON text has an escaped NUL. Databases can't store it.
fn has_nul(text: &[u8]) -> bool {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|b| *b == b'\\') {
        let escape = &rest[at + 1..];
        if escape.starts_with(b"u0000") {
            return true;
        }
        rest = escape.get(1..).unwrap_or_default();
    }
    false
}

/// The decoder's complaint in the words of JSON, without the names of our types and without the value, which may be a
/// secret.
fn describe(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let text = text.strip_suffix(&place).unwrap_or(&text);
    let Some((got, expected)) = text
        .strip_prefix("invalid type: ")
        .or_else(|| text.strip_prefix("invalid value: "))
        .and_then(|text| text.rsplit_once(", expected "))
    else {
        return if error.classify() == Category::Data { text.to_owned() } else { format!("{text}{place}") };
    };
    let got = got.split(['`', '"']).next().unwrap_or_default().trim_end();
    let got = match got {
        "sequence" => "an array",
        "map" => "an object",
        "integer" if text.starts_with("invalid value") => "an integer out of range",
        "integer" => "an integer",
        "floating point" => "a fraction",
        "boolean" => "a boolean",
        "string" | "character" => "a string",
        "null" | "unit value" => "null",
        _ => "another value",
    };
    let expected = match expected {
        "i32" | "i64" | "u32" | "u64" | "usize" => "an integer",
        "f32" | "f64" => "a number",
        "a sequence" => "an array",
        "a map" => "an object",
        "a string" | "a boolean" => expected,
        _ if expected.starts_with("struct ") => "an object",
        _ => "another value",
    };
    format!("expected {expected}, got {got}")
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;

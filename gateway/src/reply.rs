//! Successful answers.

use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde::Serialize;

use crate::error::{Answer, Error};
use crate::json;

/// A JSON body with a final newline.
pub(crate) fn json<T: Serialize + ?Sized>(status: u16, value: &T) -> Answer {
    let status = StatusCode::from_u16(status).map_err(Error::internal)?;
    json::response(status, value).map_err(Error::internal)
}

/// The same, but `null` where there is nothing.
pub(crate) fn json_or_null<T: Serialize + Default + PartialEq>(status: u16, value: &T) -> Answer {
    if *value == T::default() { json(status, &()) } else { json(status, value) }
}

/// A 204.
pub(crate) fn no_content() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

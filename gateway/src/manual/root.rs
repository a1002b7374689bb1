//! What the gateway says of itself: that there is an API, and which.

use axum::response::IntoResponse as _;
use http::header;
use orgplane_proto::common::v1::Response;

use crate::error::Answer;
use crate::{json, reply};

/// The OpenAPI document, made from the descriptors when the gateway was built.
pub(crate) const OPENAPI: &str = include_str!(concat!(env!("OUT_DIR"), "/openapi.json"));

pub(crate) async fn hello() -> Answer {
    reply::json(200, &Response { message: "This is the Orgplane API.".to_owned(), ..Response::default() })
}

pub(crate) async fn openapi() -> Answer {
    Ok(([(header::CONTENT_TYPE, json::TYPE)], OPENAPI).into_response())
}

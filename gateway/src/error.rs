//! The one place where a failed call becomes a REST answer.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use orgplane_proto::ERROR_DOMAIN;
use orgplane_proto::common::v1::{self as common, ErrorReason, FieldViolation};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

/// What a handler answers.
pub(crate) type Answer = Result<Response, Error>;

/// A failed REST call: `{message, detail?, validations?}` and its status.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Error {
    status: StatusCode,
    body: Box<common::Response>,
    retry_after: Option<Duration>,
    challenge: bool,
    cause: Option<Cause>,
}

/// Why a call failed, for the access log only. Travels in the response's extensions.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cause(pub(crate) String);

impl Error {
    /// An error of the gateway's own.
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        let body = common::Response { message: message.into(), ..Default::default() };
        let challenge = status == StatusCode::UNAUTHORIZED;
        Self { status, body: Box::new(body), retry_after: None, challenge, cause: None }
    }

    /// A 400.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// Says more.
    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.body.detail = detail.into();
        self
    }

    /// Names what is wrong with single members.
    pub(crate) fn validations(mut self, validations: Vec<FieldViolation>) -> Self {
        self.body.validations = validations;
        self
    }

    /// Names what is wrong with one member.
    pub(crate) fn violation(self, field: impl Into<String>, detail: impl Into<String>) -> Self {
        self.validations(vec![FieldViolation { field: field.into(), detail: detail.into() }])
    }

    /// Tells the client how to authenticate.
    pub(crate) fn challenge(mut self) -> Self {
        self.challenge = true;
        self
    }

    /// The service answered too late.
    pub(crate) fn deadline() -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, "The control plane didn't answer in time.")
    }

    /// A fault of the gateway; the cause goes to the log only.
    pub(crate) fn internal(cause: impl ToString) -> Self {
        let mut error = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "An internal error occurred.");
        error.cause = Some(Cause(cause.to_string()));
        error
    }

    /// The gateway, or what it stands on, stops.
    pub(crate) fn stopping() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "The server is stopping; connect again.")
    }

    /// For failures that are no answer's any more.
    pub(crate) fn log(&self, request_id: Uuid) {
        match &self.cause {
            Some(Cause(cause)) => tracing::error!(%request_id, cause, "a stream broke off"),
            None => tracing::info!(%request_id, message = self.body.message, "a stream was ended"),
        }
    }

    pub(crate) fn message(&self) -> &str {
        &self.body.message
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn body(&self) -> &common::Response {
        &self.body
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        let info = status.get_details_error_info().filter(|info| info.domain == ERROR_DOMAIN);
        let reason = info.as_ref().and_then(|info| ErrorReason::from_str_name(&info.reason));
        let known = reason.and_then(|reason| StatusCode::from_u16(u16::try_from(reason.http_status()).ok()?).ok());
        let mut error = match known {
            Some(http) => Self::new(http, status.message()),
            None => without_reason(&status),
        };
        if let Some(detail) = info.and_then(|mut info| info.metadata.remove("detail")) {
            error.body.detail = detail;
        }
        if let Some(bad) = status.get_details_bad_request() {
            let violation = |v: tonic_types::FieldViolation| FieldViolation { field: v.field, detail: v.description };
            error.body.validations = bad.field_violations.into_iter().map(violation).collect();
        }
        let asked = status.get_details_retry_info().and_then(|info| info.retry_delay);
        let unavailable = error.status == StatusCode::SERVICE_UNAVAILABLE;
        error.retry_after = asked.or(unavailable.then_some(Duration::from_secs(1)));
        if error.status.is_server_error() {
            error.cause = Some(Cause(format!("{:?}: {}", status.code(), causes(&status))));
        }
        error
    }
}

/// A status that doesn't carry our reason: one of tonic's own, or of something between here and the control plane. Its
/// text is only passed on where it is about the request.
fn without_reason(status: &Status) -> Error {
    let (http, message) = match status.code() {
        Code::InvalidArgument => (400, ""),
        Code::FailedPrecondition | Code::Aborted | Code::AlreadyExists => (409, ""),
        Code::OutOfRange => (413, ""),
        Code::Unauthenticated => (401, ""),
        Code::PermissionDenied => (403, ""),
        Code::NotFound => (404, ""),
        Code::ResourceExhausted => (429, ""),
        Code::Unimplemented => (501, "The control plane doesn't serve this operation."),
        Code::Unavailable => (503, "The control plane can't be reached. Try again."),
        // tonic's own deadline is `CANCELLED`.
        Code::DeadlineExceeded | Code::Cancelled => return Error::deadline(),
        Code::Ok | Code::Unknown | Code::Internal | Code::DataLoss => (500, "An internal error occurred."),
    };
    let http = StatusCode::from_u16(http).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let fixed =
        if status.message().is_empty() { http.canonical_reason().unwrap_or_default() } else { status.message() };
    Error::new(http, if message.is_empty() { fixed } else { message })
}

fn causes(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut next = std::error::Error::source(status);
    while let Some(error) = next {
        text.push_str(": ");
        text.push_str(&error.to_string());
        next = error.source();
    }
    text
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = match crate::json::response(self.status, &*self.body) {
            Ok(response) => response,
            Err(_) => self.status.into_response(),
        };
        if self.challenge {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(delay) = self.retry_after {
            let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response.extensions_mut().insert(self.cause);
        response
    }
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;

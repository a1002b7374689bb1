//! The one place where errors become gRPC statuses. HTTP statuses hang on the same reason (`ErrorReason` in the proto).

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;

use axum::body::Body;
use http::Response;
use orgplane_proto::ERROR_DOMAIN;
use orgplane_proto::common::v1::ErrorReason;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::domain::Error;
use crate::domain::error::{Reason, chain};

/// How long a client should wait before it tries an unavailable server again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A reason as the contract has it, with its codes.
#[must_use]
pub fn reason(reason: Reason) -> ErrorReason {
    match reason {
        Reason::Invalid => ErrorReason::Invalid,
        Reason::Unauthenticated => ErrorReason::Unauthenticated,
        Reason::Denied => ErrorReason::Denied,
        Reason::NotFound => ErrorReason::NotFound,
        Reason::AlreadyExists => ErrorReason::AlreadyExists,
        Reason::Conflict => ErrorReason::Conflict,
        Reason::Gone => ErrorReason::Gone,
        Reason::NotReady => ErrorReason::NotReady,
        Reason::TooEarly => ErrorReason::TooEarly,
        Reason::PreconditionFailed => ErrorReason::PreconditionFailed,
        Reason::NotEmpty => ErrorReason::NotEmpty,
        Reason::TooLarge => ErrorReason::TooLarge,
        Reason::LeaseLost => ErrorReason::LeaseLost,
        Reason::Protocol => ErrorReason::Protocol,
        Reason::RateLimited => ErrorReason::RateLimited,
        Reason::Unavailable => ErrorReason::Unavailable,
        Reason::Internal => ErrorReason::Internal,
        Reason::PreconditionRequired => ErrorReason::PreconditionRequired,
    }
}

/// Broken rules that a client is told of.
const MOST_VIOLATIONS: usize = 20;
/// Bytes of a member's name, of a rule, and of a message. An error travels in the head of an answer, where peers take
/// 16 KiB in all.
const LONGEST_FIELD: usize = 100;
const LONGEST_RULE: usize = 300;
const LONGEST_MESSAGE: usize = 500;

/// The status that a call ends with. Faults of the server are logged here, once; clients see none of their causes.
#[must_use]
pub fn of(error: Error) -> Status {
    let reason = reason(error.reason());
    let mut details = ErrorDetails::with_error_info(reason.as_str_name(), ERROR_DOMAIN, HashMap::new());
    match &error {
        Error::Invalid(violations) => {
            for violation in violations.iter().take(MOST_VIOLATIONS) {
                let (field, rule) = (cut(&violation.field, LONGEST_FIELD), cut(&violation.rule, LONGEST_RULE));
                details.add_bad_request_violation(field, rule);
            }
            if let Some(more) = violations.len().checked_sub(MOST_VIOLATIONS).filter(|more| *more > 0) {
                details.add_bad_request_violation("request", format!("breaks {more} more rules"));
            }
        }
        Error::AlreadyExists { field, .. } => {
            details.add_bad_request_violation(*field, "must not be in use already");
        }
        Error::Busy | Error::Crowded | Error::TooMany { .. } => {
            details.set_retry_info(Some(RETRY_AFTER));
        }
        Error::TooFast { wait, .. } => {
            details.set_retry_info(Some(*wait));
        }
        Error::Unavailable(cause) => {
            details.set_retry_info(Some(RETRY_AFTER));
            tracing::warn!(error = %chain(cause.as_ref()), "the database is away");
        }
        Error::Internal(cause) => tracing::error!(error = %chain(cause.as_ref()), "internal error"),
        _ => {}
    }
    let code = Code::from(i32::try_from(reason.grpc_code()).unwrap_or(Code::Unknown as i32));
    Status::with_error_details(code, cut(&error.to_string(), LONGEST_MESSAGE), details)
}

/// A text of at most so many bytes and an ellipsis: its middle goes, for what it quotes stands there.
fn cut(text: &str, longest: usize) -> Cow<'_, str> {
    if text.len() <= longest {
        return Cow::Borrowed(text);
    }
    let head = text.floor_char_boundary(longest / 2);
    let tail = text.ceil_char_boundary(text.len() - longest / 2);
    Cow::Owned(format!("{}…{}", &text[..head], &text[tail..]))
}

/// A codec that can't read a request calls that an internal error, without any of our details; the fault is the sender's.
pub(super) fn blame_sender(response: Response<Body>) -> Response<Body> {
    match Status::from_header_map(response.headers()) {
        Some(status) if status.code() == Code::Internal && status.details().is_empty() => {
            let rule = format!("must be one whole, readable message: {}", status.message());
            of(Error::invalid("request", rule)).into_http()
        }
        _ => response,
    }
}

/// A code as metrics name it.
pub(super) const fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::error::{Kind, ProtocolFault, Violation};

    #[test]
    fn long_texts_lose_their_middle() {
        assert_eq!(cut("as it is", 8), "as it is");
        assert_eq!(cut("0123456789", 4), "01…89");
        assert_eq!(cut("ééééé", 6), "é…é", "no character is cut");
    }

    /// Every error fits into the head of an answer, whatever it quotes.
    #[test]
    fn an_error_fits_into_a_head() {
        let wide = || "\u{10ffff}".repeat(10_000);
        let violations = (0..1000).map(|_| Violation::new(wide(), wide())).collect();
        let taken = Error::AlreadyExists { kind: Kind::Organization, name: wide(), field: "name" };
        for error in [Error::Invalid(violations), taken, Error::Protocol(ProtocolFault::Unreadable(wide()))] {
            let response = of(error).into_http::<Body>();
            let size: usize =
                response.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
            assert!(size < 15 * 1024, "{size} bytes");
        }
    }
}

//! The one place where errors become gRPC statuses. HTTP statuses hang on the same reason (`ErrorReason` in the proto).

use std::collections::HashMap;
use std::time::Duration;

use axum::body::Body;
use http::Response;
use orgplane_proto::ERROR_DOMAIN;
use orgplane_proto::common::v1::ErrorReason;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::domain::Error;
use crate::domain::error::{ProtocolFault, chain};

/// How long a client should wait before it tries an unavailable server again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why a call with this error failed, in the terms of the contract.
#[must_use]
pub fn reason(error: &Error) -> ErrorReason {
    match error {
        Error::Invalid(_)
        | Error::DefaultOrganization
        | Error::AlreadyMember
        | Error::JobActive
        | Error::TemplateInUse(_)
        | Error::JobEnded
        | Error::JobCanceling => ErrorReason::Invalid,
        Error::Unauthenticated(_) => ErrorReason::Unauthenticated,
        Error::Denied | Error::VariablesUnknown | Error::ImportNotSucceeded(_) => ErrorReason::Denied,
        Error::NotFound(_) | Error::NoFirstUser => ErrorReason::NotFound,
        Error::AlreadyExists { .. } => ErrorReason::AlreadyExists,
        Error::FirstUserExists | Error::OrganizationNotEmpty(_) | Error::BuildActive(_) | Error::WorkspaceDeleted => {
            ErrorReason::Conflict
        }
        Error::WorkspaceGone => ErrorReason::Gone,
        Error::ImportUnfinished => ErrorReason::NotReady,
        Error::TooEarly => ErrorReason::TooEarly,
        Error::StatusMismatch { .. } => ErrorReason::PreconditionFailed,
        Error::TooLarge { .. } => ErrorReason::TooLarge,
        Error::LeaseLost(_) => ErrorReason::LeaseLost,
        // Neither breaks the protocol: the operator named another organization, or a name that is taken for now.
        Error::Protocol(ProtocolFault::WrongOrganization(_)) => ErrorReason::Conflict,
        Error::Protocol(ProtocolFault::NameInUse(_)) => ErrorReason::AlreadyExists,
        Error::Protocol(_) => ErrorReason::Protocol,
        Error::Busy | Error::Crowded | Error::SlowReader => ErrorReason::RateLimited,
        Error::Unavailable(_) | Error::Stopping => ErrorReason::Unavailable,
        Error::Internal(_) => ErrorReason::Internal,
    }
}

/// The status that a call ends with. Faults of the server are logged here, once; clients see none of their causes.
#[must_use]
pub fn of(error: Error) -> Status {
    let reason = reason(&error);
    let mut details = ErrorDetails::with_error_info(reason.as_str_name(), ERROR_DOMAIN, HashMap::new());
    match &error {
        Error::Invalid(violations) => {
            for violation in violations {
                details.add_bad_request_violation(&violation.field, &violation.rule);
            }
        }
        Error::AlreadyExists { field, .. } => {
            details.add_bad_request_violation(*field, "must not be in use already");
        }
        Error::Busy | Error::Crowded => {
            details.set_retry_info(Some(RETRY_AFTER));
        }
        Error::Unavailable(cause) => {
            details.set_retry_info(Some(RETRY_AFTER));
            tracing::warn!(error = %chain(cause.as_ref()), "the database is away");
        }
        Error::Internal(cause) => tracing::error!(error = %chain(cause.as_ref()), "internal error"),
        _ => {}
    }
    let code = Code::from(i32::try_from(reason.grpc_code()).unwrap_or(Code::Unknown as i32));
    Status::with_error_details(code, error.to_string(), details)
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

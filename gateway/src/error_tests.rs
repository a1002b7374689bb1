use std::collections::HashMap;

use prost_reflect::DescriptorPool;
use tonic_types::ErrorDetails;

use super::*;

fn reasons() -> Vec<ErrorReason> {
    let pool = DescriptorPool::decode(orgplane_proto::FILE_DESCRIPTOR_SET).unwrap();
    let numbers = pool.get_enum_by_name("orgplane.common.v1.ErrorReason").unwrap();
    numbers.values().map(|v| ErrorReason::try_from(v.number()).unwrap()).collect()
}

#[test]
fn every_reason_has_its_status() {
    for reason in reasons() {
        let metadata = HashMap::from([("detail".to_owned(), "more".to_owned())]);
        let mut details = ErrorDetails::with_error_info(reason.as_str_name(), ERROR_DOMAIN, metadata);
        details.add_bad_request_violation("name", "too long");
        let code = Code::from_i32(i32::try_from(reason.grpc_code()).unwrap());
        let error = Error::from(Status::with_error_details(code, "what happened", details));
        assert_eq!(u32::from(error.status().as_u16()), reason.http_status(), "{reason:?}");
        let violation = FieldViolation { field: "name".to_owned(), detail: "too long".to_owned() };
        let wanted = common::Response {
            message: "what happened".to_owned(),
            detail: "more".to_owned(),
            validations: vec![violation],
        };
        assert_eq!(*error.body(), wanted, "{reason:?}");
        let response = error.into_response();
        let has = |name| response.headers().contains_key(name);
        assert_eq!(has(header::WWW_AUTHENTICATE), reason == ErrorReason::Unauthenticated);
        assert_eq!(has(header::RETRY_AFTER), reason == ErrorReason::Unavailable);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json; charset=utf-8");
    }
    assert_eq!(reasons().len(), 19);
}

#[test]
fn statuses_without_our_reason() {
    let cases = [
        (Code::InvalidArgument, 400),
        (Code::Unauthenticated, 401),
        (Code::PermissionDenied, 403),
        (Code::NotFound, 404),
        (Code::AlreadyExists, 409),
        (Code::Aborted, 409),
        (Code::FailedPrecondition, 409),
        (Code::OutOfRange, 413),
        (Code::ResourceExhausted, 429),
        (Code::Unknown, 500),
        (Code::Internal, 500),
        (Code::DataLoss, 500),
        (Code::Unimplemented, 501),
        (Code::Unavailable, 503),
        (Code::Cancelled, 504),
        (Code::DeadlineExceeded, 504),
    ];
    for (code, wanted) in cases {
        let foreign = ErrorDetails::with_error_info("ERROR_REASON_GONE", "elsewhere.test", HashMap::new());
        for status in [Status::new(code, "inner text"), Status::with_error_details(code, "inner text", foreign)] {
            let error = Error::from(status);
            assert_eq!(error.status().as_u16(), wanted, "{code:?}");
            assert_eq!(error.body().message.contains("inner text"), wanted < 500, "{code:?}");
            assert!(!error.body().message.is_empty());
        }
    }
}

#[test]
fn reasons_of_a_newer_server_fall_back_to_the_code() {
    let details = ErrorDetails::with_error_info("ERROR_REASON_NOT_INVENTED_YET", ERROR_DOMAIN, HashMap::new());
    let error = Error::from(Status::with_error_details(Code::NotFound, "not there", details));
    assert_eq!(error.status(), StatusCode::NOT_FOUND);
    assert_eq!(error.body().message, "not there");
}

#[test]
fn retry_delays_are_whole_seconds() {
    for (delay, wanted) in [(0, "1"), (1, "1"), (1000, "1"), (1001, "2"), (90_000, "90")] {
        let mut details = ErrorDetails::with_retry_info(Some(Duration::from_millis(delay)));
        details.set_error_info("ERROR_REASON_RATE_LIMITED", ERROR_DOMAIN, HashMap::new());
        let status = Status::with_error_details(Code::ResourceExhausted, "slow down", details);
        let response = Error::from(status).into_response();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()[header::RETRY_AFTER], wanted, "{delay} ms");
    }
}

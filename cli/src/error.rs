//! How failures look: the first line says what to do or what is wrong, further lines give the details.

use std::fmt::Write as _;
use std::process::ExitCode;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::printable::printable;

/// A command line or setting that can't be used; exits with 2 as clap's own errors do.
#[derive(Debug)]
pub(crate) struct Usage(String);

impl Usage {
    pub(crate) fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Ctrl-C ended it; exits with 130, as shells say of a SIGINT.
#[derive(Debug)]
pub(crate) struct Interrupted(String);

impl Interrupted {
    pub(crate) fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let colon = if self.0.is_empty() { "" } else { ": " };
        write!(f, "interrupted{colon}{}", self.0)
    }
}

impl std::error::Error for Interrupted {}

/// The reader of our output went away, which is no failure (`orgplane … | head`).
#[derive(Debug)]
pub(crate) struct ReaderGone;

impl std::fmt::Display for ReaderGone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("nobody reads the output any more")
    }
}

impl std::error::Error for ReaderGone {}

/// Whether only our reader went away. A connection that broke is another matter, although it is a broken pipe, too.
pub(crate) fn is_no_failure(error: &anyhow::Error) -> bool {
    error.is::<ReaderGone>()
}

/// The exit code of a failure.
pub(crate) fn exit_code(error: &anyhow::Error) -> ExitCode {
    if error.chain().any(|cause| cause.is::<Usage>() || cause.is::<orgplane_client::Setting>()) {
        ExitCode::from(2)
    } else if error.chain().any(|cause| cause.is::<Interrupted>()) {
        ExitCode::from(130)
    } else {
        ExitCode::FAILURE
    }
}

/// A failed call's error, with a sentence of ours where the server only says that something isn't there.
pub(crate) fn not_found(status: Status, sentence: impl FnOnce() -> String) -> anyhow::Error {
    if status.code() == Code::NotFound { anyhow::anyhow!(sentence()) } else { status.into() }
}

/// The text for people: what to do, where that is known, then what failed and why, then the fields that break rules.
pub(crate) fn render(error: &anyhow::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut details = String::new();
    for cause in error.chain() {
        let status = cause.downcast_ref::<Status>();
        let part = match status {
            Some(status) => {
                details = status_details(status);
                parts.splice(0..0, advice(status).map(str::to_owned));
                meaning(status)
            }
            None => cause.to_string(),
        };
        if !parts.iter().any(|earlier| earlier.contains(&part)) {
            parts.push(part);
        }
        // What is below a status says the same in other words.
        if status.is_some() {
            break;
        }
    }
    printable(&format!("{}{details}", parts.join(": ")))
}

/// What a person can do about a failed call.
fn advice(status: &Status) -> Option<&'static str> {
    match status.code() {
        Code::Unauthenticated => Some("sign in with `orgplane login <url>`, or give --token-file"),
        Code::PermissionDenied => Some("ask an administrator for the permission"),
        Code::DeadlineExceeded | Code::Unavailable | Code::Cancelled => Some("try again"),
        Code::Unknown | Code::Internal if !is_ours(status) => {
            Some("check --url: what answers there is no Orgplane server")
        }
        _ => None,
    }
}

fn meaning(status: &Status) -> String {
    match (status.code(), status.message()) {
        (Code::DeadlineExceeded | Code::Cancelled, _) => "the server didn't answer in time".to_owned(),
        (code, "") => code.description().to_owned(),
        (_, message) => message.to_owned(),
    }
}

/// Whether the server said why; proxies and other programs don't.
fn is_ours(status: &Status) -> bool {
    status.get_details_error_info().is_some_and(|info| info.domain == orgplane_proto::ERROR_DOMAIN)
}

/// One line for each field that breaks a rule.
fn status_details(status: &Status) -> String {
    let mut text = String::new();
    for violation in status.get_details_bad_request().into_iter().flat_map(|details| details.field_violations) {
        let _ = write!(text, "\n  {}: {}", violation.field, violation.description);
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn violations_stand_on_lines_of_their_own() {
        let mut details = ErrorDetails::new();
        details.add_bad_request_violation("name", "must not be empty");
        details.add_bad_request_violation("icon", "must be a URL");
        let status = Status::with_error_details(Code::InvalidArgument, "Invalid request.", details);
        let error = Err::<(), _>(status).context("can't create the organization").unwrap_err();
        let expected =
            "can't create the organization: Invalid request.\n  name: must not be empty\n  icon: must be a URL";
        assert_eq!(render(&error), expected);
        assert_eq!(exit_code(&error), ExitCode::FAILURE);
    }

    #[test]
    fn the_first_line_says_what_to_do() {
        let signed_out =
            Err::<(), _>(Status::unauthenticated("You are signed out.")).context("can't list").unwrap_err();
        let text = render(&signed_out);
        assert!(text.starts_with("sign in with `orgplane login"), "{text}");
        assert!(text.ends_with(": can't list: You are signed out."), "{text}");
        let page = anyhow::Error::from(Status::unknown("grpc-status header missing, mapped from HTTP status code 404"));
        assert!(render(&page).starts_with("check --url"), "{}", render(&page));
        assert_eq!(exit_code(&Usage::new("x").into()), ExitCode::from(2));
    }

    #[test]
    fn a_broken_connection_is_a_failure() {
        let broken = || std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert!(!is_no_failure(&anyhow::Error::from(broken()).context("can't upload")));
        assert!(is_no_failure(&ReaderGone.into()));
    }

    #[test]
    fn what_a_server_says_cannot_steer_the_terminal() {
        let error = anyhow::Error::from(Status::not_found("gone\u{1b}[2J"));
        assert!(!render(&error).contains('\u{1b}'));
    }
}

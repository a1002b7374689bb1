//! How failures look: the first line says what to do or what is wrong, further lines give the details.

use std::fmt::Write as _;
use std::process::ExitCode;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::output::printable;

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

/// The exit code of a failure.
pub(crate) fn exit_code(error: &anyhow::Error) -> ExitCode {
    if error.chain().any(|cause| cause.is::<Usage>()) { ExitCode::from(2) } else { ExitCode::FAILURE }
}

/// Whether the reader of our output went away, which is no failure (`orgplane … | head`).
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}

/// The text for people.
pub(crate) fn render(error: &anyhow::Error) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut details = String::new();
    for cause in error.chain() {
        let line = match cause.downcast_ref::<Status>() {
            Some(status) => {
                details = status_details(status);
                status_line(status)
            }
            None => cause.to_string(),
        };
        if !lines.iter().any(|earlier| earlier.contains(&line)) {
            lines.push(line);
        }
        if cause.is::<Status>() {
            break;
        }
    }
    printable(&format!("{}{details}", lines.join(": ")))
}

fn status_line(status: &Status) -> String {
    let message = status.message();
    match status.code() {
        Code::Unauthenticated => format!("sign in with `orgplane login <url>`, or give --token: {message}"),
        Code::PermissionDenied => format!("ask an administrator for the permission: {message}"),
        Code::DeadlineExceeded | Code::Cancelled if message.is_empty() || message.starts_with("Timeout") => {
            "try again: the server didn't answer in time".to_owned()
        }
        Code::Unavailable => format!("try again: {message}"),
        Code::Unknown | Code::Internal if message.contains("HTTP status code") || message.contains("content-type") => {
            format!("check --url: what answered there is no Orgplane server ({message})")
        }
        _ if message.is_empty() => status.code().description().to_owned(),
        _ => message.to_owned(),
    }
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
        let error = anyhow::Error::from(Status::unauthenticated("You are signed out."));
        assert!(render(&error).starts_with("sign in with `orgplane login"), "{}", render(&error));
        assert_eq!(exit_code(&Usage::new("x").into()), ExitCode::from(2));
    }

    #[test]
    fn what_a_server_says_cannot_steer_the_terminal() {
        let error = anyhow::Error::from(Status::not_found("gone\u{1b}[2J"));
        assert!(!render(&error).contains('\u{1b}'));
    }
}

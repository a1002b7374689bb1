//! Between messages and typed records, one file per resource. Every field is named, so that a new one is a compile error.

pub(crate) mod audit_log;
pub(crate) mod dry_run;
pub(crate) mod job_view;
pub(crate) mod key;
pub(crate) mod member;
pub(crate) mod organization;
pub(crate) mod provisioner_daemon;
pub(crate) mod provisioner_job;
pub(crate) mod provisioner_key;
pub(crate) mod role;
pub(crate) mod stream;
pub(crate) mod template;
pub(crate) mod template_version;
pub(crate) mod user;
pub(crate) mod workspace;
pub(crate) mod workspace_build;

use orgplane_proto::common::v1 as common;
use prost_types::Timestamp as PbTimestamp;

use crate::domain::Timestamp;

/// A time as a message has it.
pub(crate) fn timestamp(time: Timestamp) -> PbTimestamp {
    let nanos = i32::try_from(time.0.rem_euclid(1_000_000) * 1000).unwrap_or(0);
    PbTimestamp { seconds: time.0.div_euclid(1_000_000), nanos }
}

/// A message's time; beyond what a column holds, the nearest that it does.
pub(crate) fn from_timestamp(time: &PbTimestamp) -> Timestamp {
    Timestamp(time.seconds.saturating_mul(1_000_000).saturating_add(i64::from(time.nanos) / 1000))
}

/// An answer that is nothing but a sentence.
pub(crate) fn message(text: &str) -> common::Response {
    common::Response { message: text.to_owned(), detail: String::new(), validations: Vec::new() }
}

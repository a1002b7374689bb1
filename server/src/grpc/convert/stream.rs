//! The daemons' stream.

use std::time::Duration;

use orgplane_proto::limits;
use orgplane_proto::provisioner::v1 as pb;
use orgplane_proto::provisioner::v1::server_message::Message;

use super::{from_timestamp, workspace_build};
use crate::dispatch::assignment::{Assignment, Bytes, Metadata, VariableValue};
use crate::dispatch::session::{Command, GoAway};
use crate::domain::error::ProtocolFault;
use crate::domain::id::JobId;
use crate::domain::job::{
    Discovery, ErrorCode, Hold, JobType, LeaseId, LogBatch, LogLevel, LogLine, LogSource, Outcome, Permit, Rejection,
    Report, Resource, ResourceMetadata, StateReference, Timing, Variable,
};
use crate::domain::workspace::Transition;
use crate::domain::{Error, Result, Timestamp};
use crate::options::Provisioners;

/// Bytes of one line of output, and of any other text that is stored.
const TEXT: usize = 1024 * 1024;
/// Bytes of a lock file: with all else that a daemon gets it has to fit into one message.
const LOCK_FILE: usize = 256 * 1024;
/// Steps of one job whose times are kept.
const TIMINGS: usize = 1000;

fn fault(field: &'static str, rule: &str) -> Error {
    Error::Protocol(ProtocolFault::Field { field, rule: rule.to_owned() })
}

/// Refuses more of something than a message may hold.
fn at_most(limit: usize, field: &'static str, count: usize) -> Result<()> {
    if count > limit { Err(fault(field, &format!("must be at most {limit}"))) } else { Ok(()) }
}

/// A value of an enum. None is guessed for one that isn't known: daemons aren't newer than their server.
pub(crate) fn known<E: TryFrom<i32>>(field: &'static str, value: i32) -> Result<E> {
    E::try_from(value).map_err(|_| fault(field, &format!("has no value {value}")))
}

/// The job and lease that a message is about.
pub(crate) fn hold(job: &str, lease: &str) -> Result<Hold> {
    let job = JobId::parse(job).ok_or_else(|| fault("job_id", "must be a UUID"))?;
    let lease = LeaseId::parse(lease).ok_or_else(|| fault("lease_id", "must be 32 lower-case hexadecimal digits"))?;
    Ok(Hold { job, lease })
}

/// A reference's SHA-256 and size.
pub(crate) fn reference(reference: Option<pb::Reference>) -> Result<Bytes> {
    let pb::Reference { sha256, size } = reference.ok_or_else(|| fault("reference", "must be set"))?;
    let hex = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    if sha256.len() != 64 || !sha256.as_bytes().iter().all(hex) {
        return Err(fault("sha256", "must be 64 lower-case hexadecimal digits"));
    }
    Ok(Bytes { sha256, size })
}

/// Lines of a log.
pub(crate) fn logs(first_number: i64, entries: Vec<pb::LogEntry>, overflowed: bool) -> Result<LogBatch> {
    if first_number < 1 {
        return Err(fault("first_number", "must be at least 1"));
    }
    at_most(limits::LOG_ENTRIES, "entries", entries.len())?;
    let lines = entries.into_iter().map(line).collect::<Result<_>>()?;
    Ok(LogBatch { first_number, lines, overflowed })
}

fn line(entry: pb::LogEntry) -> Result<LogLine> {
    let pb::LogEntry { time, source, level, stage, output } = entry;
    if stage.chars().count() > 128 {
        return Err(fault("stage", "must be at most 128 characters"));
    }
    Ok(LogLine {
        time: time.map_or(Timestamp(0), |time| from_timestamp(&time)),
        source: match known("source", source)? {
            pb::LogSource::Unspecified | pb::LogSource::ProvisionerDaemon => LogSource::Daemon,
            pb::LogSource::Provisioner => LogSource::Engine,
        },
        level: match known("level", level)? {
            pb::LogLevel::Trace => LogLevel::Trace,
            pb::LogLevel::Debug => LogLevel::Debug,
            pb::LogLevel::Unspecified | pb::LogLevel::Info => LogLevel::Info,
            pb::LogLevel::Warn => LogLevel::Warn,
            pb::LogLevel::Error => LogLevel::Error,
        },
        stage: without_nul(stage),
        output: without_nul(output),
    })
}

/// PostgreSQL has no NUL in texts.
fn without_nul(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

fn bounded(field: &'static str, text: String) -> Result<String> {
    if text.len() > TEXT { Err(fault(field, "must be at most 1 MiB")) } else { Ok(without_nul(text)) }
}

/// Why a job was given back.
pub(crate) fn rejection(reason: i32) -> Result<Rejection> {
    Ok(match known("reason", reason)? {
        pb::RejectReason::Full => Rejection::Full,
        pb::RejectReason::Draining => Rejection::Draining,
        pb::RejectReason::Unspecified | pb::RejectReason::Infrastructure => Rejection::Infrastructure,
    })
}

/// What an import learned.
pub(crate) fn discovery(readme: String, variables: Vec<pb::TemplateVariable>) -> Result<Discovery> {
    at_most(limits::VARIABLES, "variables", variables.len())?;
    let variable = |variable| {
        let pb::TemplateVariable { name, description, r#type, default_value, required, sensitive } = variable;
        Ok(Variable {
            name: bounded("name", name)?,
            description: bounded("description", description)?,
            kind: bounded("type", r#type)?,
            default_value: bounded("default_value", default_value)?,
            required,
            sensitive,
        })
    };
    let variables = variables.into_iter().map(variable).collect::<Result<_>>()?;
    Ok(Discovery { readme: bounded("readme", readme)?, variables })
}

/// A state.
pub(crate) fn state(state: pb::StateReference) -> Result<StateReference> {
    let pb::StateReference { lineage, serial, reference: bytes } = state;
    if lineage.is_empty() || lineage.len() > 256 {
        return Err(fault("lineage", "must be 1 to 256 bytes"));
    }
    if serial < 0 {
        return Err(fault("serial", "must not be negative"));
    }
    Ok(StateReference { lineage: without_nul(lineage), serial, sha256: reference(bytes)?.sha256 })
}

/// A result. Its modules are shown nowhere, so they aren't kept.
pub(crate) fn report(result: pb::Result) -> Result<Report> {
    at_most(limits::RESULT_ITEMS, "resources and their metadata", result.items())?;
    let pb::Result { outcome, error, error_code, last_log_number, state: newest, payload, timings, .. } = result;
    if last_log_number < 0 {
        return Err(fault("last_log_number", "must not be negative"));
    }
    let outcome = match known("outcome", outcome)? {
        pb::Outcome::Unspecified => return Err(fault("outcome", "must be set")),
        pb::Outcome::Succeeded => Outcome::Succeeded,
        pb::Outcome::Failed => Outcome::Failed,
        pb::Outcome::Canceled => Outcome::Canceled,
        pb::Outcome::Lost => Outcome::Lost,
    };
    let of = |transition, list: Vec<pb::Resource>| list.into_iter().map(move |r| resource(transition, r));
    let mut lock_file = String::new();
    let resources = match payload {
        None => Vec::new(),
        Some(pb::result::Payload::TemplateImport(import)) => {
            let pb::ImportResult { start_resources, stop_resources, modules: _, lock_file: chosen } = import;
            if chosen.len() > LOCK_FILE {
                return Err(fault("lock_file", "must be at most 256 KiB"));
            }
            lock_file = without_nul(chosen);
            let resources = of(Transition::Start, start_resources).chain(of(Transition::Stop, stop_resources));
            resources.collect::<Result<_>>()?
        }
        Some(pb::result::Payload::DryRun(run)) => of(Transition::Start, run.resources).collect::<Result<_>>()?,
        Some(pb::result::Payload::WorkspaceBuild(build)) => {
            of(Transition::Start, build.resources).collect::<Result<_>>()?
        }
    };
    Ok(Report {
        outcome,
        error: bounded("error", error)?,
        error_code: match known("error_code", error_code)? {
            pb::JobErrorCode::Unspecified => ErrorCode::None,
            pb::JobErrorCode::RequiredTemplateVariables => ErrorCode::RequiredTemplateVariables,
            pb::JobErrorCode::InsufficientQuota => ErrorCode::InsufficientQuota,
        },
        last_log_number,
        state: newest.map(state).transpose()?,
        resources,
        timings: timings.into_iter().take(TIMINGS).map(timing).collect::<Result<_>>()?,
        lock_file,
    })
}

fn timing(timing: pb::Timing) -> Result<Timing> {
    let pb::Timing { started_at, ended_at, stage, source, action, resource } = timing;
    let time = |field, time: Option<prost_types::Timestamp>| {
        time.as_ref().map(from_timestamp).ok_or_else(|| fault(field, "must be set"))
    };
    let started_at = time("started_at", started_at)?;
    Ok(Timing {
        started_at,
        ended_at: time("ended_at", ended_at)?.max(started_at),
        stage: bounded("stage", stage)?,
        source: bounded("source", source)?,
        action: bounded("action", action)?,
        resource: bounded("resource", resource)?,
    })
}

fn resource(transition: Transition, resource: pb::Resource) -> Result<Resource> {
    let pb::Resource { r#type, name, address, module_path, hide, icon, daily_cost, metadata } = resource;
    let metadata = metadata.into_iter().map(|item| {
        let pb::ResourceMetadata { key, value, sensitive } = item;
        ResourceMetadata { key, value, sensitive }
    });
    Ok(Resource {
        transition,
        kind: bounded("type", r#type)?,
        name: bounded("name", name)?,
        address: bounded("address", address)?,
        module_path: bounded("module_path", module_path)?,
        hide,
        icon: bounded("icon", icon)?,
        daily_cost,
        metadata: metadata.collect(),
    })
}

/// A message to a daemon; an error for the session's end.
pub(crate) fn message(command: Command, options: &Provisioners) -> Result<pb::ServerMessage> {
    let message = match command {
        Command::Assign(assignment) => Message::Assign(assign(*assignment)),
        Command::Ack { hold, log_number, state_serial } => Message::Ack(pb::Ack {
            job_id: hold.job.to_string(),
            lease_id: hold.lease.0,
            log_number,
            state_serial,
            log_credit: options.log_credit,
        }),
        Command::Verdict(hold, permit) => {
            let verdict = match permit {
                Permit::Go => pb::Verdict::Go,
                Permit::Canceled => pb::Verdict::Canceled,
                Permit::Lost => pb::Verdict::Lost,
            };
            Message::ApplyVerdict(pb::ApplyVerdict {
                job_id: hold.job.to_string(),
                lease_id: hold.lease.0,
                verdict: verdict.into(),
                consumed: 0,
                budget: 0,
            })
        }
        Command::HeartbeatAck => Message::HeartbeatAck(pb::HeartbeatAck {}),
        Command::ResultStored(hold) => {
            Message::ResultStored(pb::ResultStored { job_id: hold.job.to_string(), lease_id: hold.lease.0 })
        }
        Command::Cancel(hold) => Message::Cancel(pb::Cancel {
            job_id: hold.job.to_string(),
            lease_id: hold.lease.0,
            reason: "The job was canceled.".to_owned(),
            grace: None,
        }),
        Command::LeaseLost(hold) => Message::LeaseLost(pb::LeaseLost {
            job_id: hold.job.to_string(),
            lease_id: hold.lease.0,
            reason: "The job isn't this daemon's any more.".to_owned(),
        }),
        Command::GoAway(reason) => Message::GoAway(go_away(reason)),
        Command::End(error) => return Err(error),
    };
    Ok(pb::ServerMessage { message: Some(message) })
}

fn go_away(reason: GoAway) -> pb::GoAway {
    let (reason, retry_after) = match reason {
        GoAway::Draining => (pb::GoAwayReason::Draining, Some(Duration::from_secs(1))),
        GoAway::Superseded => (pb::GoAwayReason::Superseded, None),
        GoAway::KeyRevoked => (pb::GoAwayReason::KeyRevoked, None),
    };
    pb::GoAway { reason: reason.into(), retry_after: retry_after.map(duration) }
}

/// A duration as messages have it; the longest they can say for longer ones.
pub(crate) fn duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration::try_from(duration).unwrap_or(prost_types::Duration { seconds: 315_576_000_000, nanos: 0 })
}

fn assign(assignment: Assignment) -> pb::Assign {
    let Assignment {
        hold,
        attempt,
        job_type,
        engine,
        next_log_number,
        archive,
        variables,
        metadata,
        time_limit,
        transition,
        state,
        lock_file,
    } = assignment;
    let job = match job_type {
        JobType::Import => pb::assign::Job::TemplateImport(pb::ImportJob {}),
        JobType::DryRun => pb::assign::Job::DryRun(pb::DryRunJob {}),
        JobType::Build => pb::assign::Job::WorkspaceBuild(pb::BuildJob {
            transition: transition.map_or(0, |transition| workspace_build::transition(transition).into()),
            state: state.map(|(state, size)| pb::StateReference {
                lineage: state.lineage,
                serial: state.serial,
                reference: Some(pb::Reference { sha256: state.sha256, size }),
            }),
        }),
    };
    let variable = |variable| {
        let VariableValue { name, value, sensitive } = variable;
        pb::VariableValue { name, value, sensitive }
    };
    pb::Assign {
        job_id: hold.job.to_string(),
        lease_id: hold.lease.0,
        attempt: u32::try_from(attempt).unwrap_or(1),
        engine: engine.text().to_owned(),
        next_log_number,
        archive: Some(pb::Reference { sha256: archive.sha256, size: archive.size }),
        variables: variables.into_iter().map(variable).collect(),
        metadata: Some(job_metadata(metadata)),
        time_limit: Some(duration(time_limit)),
        job: Some(job),
        lock_file,
    }
}

fn job_metadata(metadata: Metadata) -> pb::JobMetadata {
    let Metadata {
        server_url,
        organization_id,
        organization_name,
        initiator_name,
        template_id,
        template_name,
        template_version_id,
        template_version_name,
        workspace_id,
        workspace_name,
        owner_id,
        owner_name,
        owner_email,
        build_id,
    } = metadata;
    pb::JobMetadata {
        server_url,
        organization_id,
        organization_name,
        initiator_name,
        template_id,
        template_name,
        template_version_id,
        template_version_name,
        workspace_id,
        workspace_name,
        owner_id,
        owner_name,
        owner_email,
        build_id,
    }
}

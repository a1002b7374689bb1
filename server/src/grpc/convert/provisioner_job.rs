//! Jobs, in an organization's lists, and their logs.

use orgplane_proto::provisioner::v1 as pb;

use super::{job_view, timestamp, workspace_build};
use crate::domain::job::{LogLevel, LogLine, LogSource, Status};
use crate::service::provisioner_job::{JobQuery, ListedJob, Names};

/// Which jobs a request is about.
pub(crate) fn query(request: pb::ListProvisionerJobsRequest) -> JobQuery {
    let statuses: Vec<_> = request.status().filter_map(status).collect();
    // A status that no job has is asked for and nothing else: an empty filter would mean all.
    let nothing = statuses.is_empty() && !request.status.is_empty();
    let pb::ListProvisionerJobsRequest { organization, limit, ids, status: _, tags, initiator } = request;
    JobQuery { organization, limit, ids, statuses, nothing, tags: tags.into_iter().collect(), initiator }
}

fn status(status: pb::JobStatus) -> Option<Status> {
    match status {
        pb::JobStatus::Pending => Some(Status::Pending),
        pb::JobStatus::Running => Some(Status::Running),
        pb::JobStatus::Succeeded => Some(Status::Succeeded),
        pb::JobStatus::Canceling => Some(Status::Canceling),
        pb::JobStatus::Canceled => Some(Status::Canceled),
        pb::JobStatus::Failed => Some(Status::Failed),
        pb::JobStatus::Unspecified | pb::JobStatus::Unknown => None,
    }
}

/// A job with all that lists tell about it.
pub(crate) fn listed(listed: ListedJob) -> pb::ProvisionerJob {
    let ListedJob { view, names } = listed;
    let available = view.matched.as_ref().map(|matched| matched.daemons.clone()).unwrap_or_default();
    let Names {
        template_version_name,
        template_id,
        template_name,
        template_display_name,
        template_icon,
        workspace_id,
        workspace_name,
        transition,
    } = names;
    let metadata = pb::ProvisionerJobMetadata {
        template_version_name,
        template_id,
        template_name,
        template_display_name,
        template_icon,
        workspace_id,
        workspace_name,
        workspace_build_transition: transition.map_or(0, |transition| workspace_build::transition(transition).into()),
    };
    pb::ProvisionerJob {
        available_workers: available.iter().map(ToString::to_string).collect(),
        metadata: Some(metadata),
        ..job_view::job(view)
    }
}

/// A line of a log.
pub(crate) fn logs(lines: Vec<(i64, LogLine)>) -> pb::StreamJobLogsResponse {
    pb::StreamJobLogsResponse { logs: lines.into_iter().map(log).collect() }
}

fn log((id, line): (i64, LogLine)) -> pb::ProvisionerJobLog {
    let LogLine { time, source, level, stage, output } = line;
    let source = match source {
        LogSource::Daemon => pb::LogSource::ProvisionerDaemon,
        LogSource::Engine => pb::LogSource::Provisioner,
    };
    let level = match level {
        LogLevel::Trace => pb::LogLevel::Trace,
        LogLevel::Debug => pb::LogLevel::Debug,
        LogLevel::Info => pb::LogLevel::Info,
        LogLevel::Warn => pb::LogLevel::Warn,
        LogLevel::Error => pb::LogLevel::Error,
    };
    pb::ProvisionerJobLog {
        id,
        created_at: Some(timestamp(time)),
        log_source: source.into(),
        log_level: level.into(),
        stage,
        output,
    }
}

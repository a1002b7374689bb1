//! Jobs, in versions and builds.

use orgplane_proto::provisioner::v1 as pb;

use super::timestamp;
use crate::domain::job::{ErrorCode, Input, JobType, Status};
use crate::service::job_view::{JobView, Matched};
use crate::store::entity::provisioner_job;

/// A job as the API has it.
pub(crate) fn job(view: JobView) -> pb::ProvisionerJob {
    let JobView { job, standing, logs_overflowed, matched: _, silent_since } = view;
    let input = job.input();
    let provisioner_job::Model {
        id,
        organization_id,
        initiator_id,
        job_type: own_type,
        engine: _,
        tags,
        automatic: _,
        file_id,
        template_version_id: _,
        workspace_build_id: _,
        status: own_status,
        attempt: _,
        losses: _,
        lease_id: _,
        lease_expires_at: _,
        lost_lease_id: _,
        worker_id,
        worker_name,
        apply_permitted_at: _,
        error,
        error_code: own_code,
        created_at,
        updated_at: _,
        started_at,
        canceled_at,
        completed_at,
    } = job;
    pb::ProvisionerJob {
        id: id.to_string(),
        created_at: Some(timestamp(created_at)),
        started_at: started_at.map(timestamp),
        completed_at: completed_at.map(timestamp),
        canceled_at: canceled_at.map(timestamp),
        error,
        error_code: error_code(own_code).into(),
        status: status(own_status).into(),
        worker_id: worker_id.map(|id| id.to_string()).unwrap_or_default(),
        worker_name,
        file_id: file_id.to_string(),
        tags: tags.as_map().clone().into_iter().collect(),
        queue_position: standing.position,
        queue_size: standing.size,
        organization_id: organization_id.to_string(),
        initiator_id: initiator_id.to_string(),
        input: Some(input.map(job_input).unwrap_or_default()),
        r#type: job_type(own_type).into(),
        available_workers: Vec::new(),
        metadata: Some(pb::ProvisionerJobMetadata::default()),
        logs_overflowed,
        contact_lost_since: silent_since.map(timestamp),
    }
}

/// The daemons that could take a job.
pub(crate) fn matched(matched: &Matched) -> pb::MatchedProvisioners {
    let Matched { daemons, available, most_recently_seen } = matched;
    pb::MatchedProvisioners {
        count: i32::try_from(daemons.len()).unwrap_or(i32::MAX),
        available: *available,
        most_recently_seen: most_recently_seen.map(timestamp),
    }
}

fn job_input(input: Input) -> pb::ProvisionerJobInput {
    let (template_version_id, workspace_build_id) = match input {
        Input::Import(id) | Input::DryRun(id) => (id.to_string(), String::new()),
        Input::Build(id) => (String::new(), id.to_string()),
    };
    pb::ProvisionerJobInput { template_version_id, workspace_build_id, error: String::new() }
}

/// A status as the API has it.
pub(crate) fn status(status: Status) -> pb::JobStatus {
    match status {
        Status::Pending => pb::JobStatus::Pending,
        Status::Running => pb::JobStatus::Running,
        Status::Canceling => pb::JobStatus::Canceling,
        Status::Succeeded => pb::JobStatus::Succeeded,
        Status::Failed => pb::JobStatus::Failed,
        Status::Canceled => pb::JobStatus::Canceled,
    }
}

fn job_type(job_type: JobType) -> pb::JobType {
    match job_type {
        JobType::Import => pb::JobType::TemplateVersionImport,
        JobType::DryRun => pb::JobType::TemplateVersionDryRun,
        JobType::Build => pb::JobType::WorkspaceBuild,
    }
}

fn error_code(code: ErrorCode) -> pb::JobErrorCode {
    match code {
        ErrorCode::None => pb::JobErrorCode::Unspecified,
        ErrorCode::RequiredTemplateVariables => pb::JobErrorCode::RequiredTemplateVariables,
        ErrorCode::InsufficientQuota => pb::JobErrorCode::InsufficientQuota,
    }
}

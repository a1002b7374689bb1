//! `orgplane provisioner jobs`.

use anyhow::{Context as _, Result, bail};
use orgplane_proto::identity::v1::GetUserRequest;
use orgplane_proto::json::JsonEnum as _;
use orgplane_proto::provisioner::v1::{
    GetProvisionerJobRequest, JobErrorCode, JobStatus, JobType, ListProvisionerJobsRequest, ProvisionerJob,
    ProvisionerJobInput, ProvisionerJobMetadata, ReleaseProvisionerJobRequest, WorkspaceTransition,
};

use crate::args::{CancelJob, JobColumn as Column, JobState, ListJobs, ReleaseJob};
use crate::client::Client;
use crate::error::not_found;
use crate::job::Job;
use crate::output::{self, progress};
use crate::terminal;

pub(crate) async fn list(args: ListJobs) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let organization = client.organization(&args.organization).await?;
    let initiator = match &args.initiator {
        None => String::new(),
        Some(user) => {
            let found = client.users().get_user(GetUserRequest { user: user.clone() }).await;
            let sentence = || format!("check --initiator: there is no user {user:?} that you may see");
            found.map_err(|status| not_found(status, sentence))?.into_inner().id
        }
    };
    let request = ListProvisionerJobsRequest {
        organization: organization.id,
        limit: args.limit,
        status: args.status.into_iter().map(|state| status(state).into()).collect(),
        initiator,
        ..ListProvisionerJobsRequest::default()
    };
    let reply = client.provisioner_jobs().list_provisioner_jobs(request).await;
    let mut jobs = reply.context("can't list provisioner jobs")?.into_inner().jobs;
    jobs.reverse();
    let of = organization.name;
    output::list(args.output.output, &jobs, &args.columns, |job, c| cell(job, c, &of), "No jobs.")
}

pub(crate) async fn cancel(args: CancelJob) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let organization = client.organization(&args.organization).await?;
    let request = GetProvisionerJobRequest { organization: organization.id, job: args.job.clone() };
    let found = client.provisioner_jobs().get_provisioner_job(request).await;
    let found = found.map_err(|status| not_found(status, || no_job(&args.job, &organization.name)))?.into_inner();
    let input = found.input.clone().unwrap_or_default();
    let job = match found.r#type() {
        JobType::TemplateVersionImport => Job::Import(input.template_version_id),
        JobType::WorkspaceBuild => Job::Build(input.workspace_build_id),
        JobType::TemplateVersionDryRun => Job::DryRun { version: input.template_version_id, job: found.id },
        JobType::Unspecified => bail!("this kind of job can't be canceled"),
    };
    job.cancel(&client).await?;
    progress("Canceling the job.");
    Ok(())
}

pub(crate) async fn release(args: ReleaseJob) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let organization = client.organization(&args.organization).await?;
    let question = format!("Give the job {} up? What its daemon changed may not be known.", args.job);
    terminal::agree(&args.yes, &question, "not released").await?;
    let request = ReleaseProvisionerJobRequest { organization: organization.id, job: args.job.clone() };
    let released = client.provisioner_jobs().release_provisioner_job(request).await;
    released.map_err(|status| not_found(status, || no_job(&args.job, &organization.name)))?;
    progress("Released the job.");
    Ok(())
}

fn no_job(job: &str, of: &str) -> String {
    format!(
        "check the id: there is no job {job:?} in {of} that you may see; `orgplane provisioner jobs list --org {of}` \
         shows them"
    )
}

fn status(state: JobState) -> JobStatus {
    match state {
        JobState::Pending => JobStatus::Pending,
        JobState::Running => JobStatus::Running,
        JobState::Succeeded => JobStatus::Succeeded,
        JobState::Canceling => JobStatus::Canceling,
        JobState::Canceled => JobStatus::Canceled,
        JobState::Failed => JobStatus::Failed,
        JobState::Unknown => JobStatus::Unknown,
    }
}

fn cell(job: &ProvisionerJob, column: &Column, organization: &str) -> String {
    let metadata = |text: fn(&ProvisionerJobMetadata) -> &str| job.metadata.as_ref().map_or("", text).to_owned();
    let input = |text: fn(&ProvisionerJobInput) -> &str| job.input.as_ref().map_or("", text).to_owned();
    let pending = job.status() == JobStatus::Pending;
    match column {
        Column::Id => job.id.clone(),
        Column::CreatedAt => output::time(job.created_at.as_ref()),
        Column::StartedAt => output::time(job.started_at.as_ref()),
        Column::CompletedAt => output::time(job.completed_at.as_ref()),
        Column::CanceledAt => output::time(job.canceled_at.as_ref()),
        Column::Error => job.error.clone(),
        Column::ErrorCode => JobErrorCode::text_of(job.error_code).to_owned(),
        Column::Status if job.contact_lost_since.is_some() => {
            format!("{} (contact lost)", JobStatus::text_of(job.status))
        }
        Column::Status => JobStatus::text_of(job.status).to_owned(),
        Column::WorkerId => job.worker_id.clone(),
        Column::WorkerName => job.worker_name.clone(),
        Column::FileId => job.file_id.clone(),
        Column::Tags => output::tags(&job.tags),
        Column::QueuePosition => job.queue_position.to_string(),
        Column::QueueSize => job.queue_size.to_string(),
        Column::OrganizationId => job.organization_id.clone(),
        Column::InitiatorId => job.initiator_id.clone(),
        Column::TemplateVersionId => input(|input| &input.template_version_id),
        Column::WorkspaceBuildId => input(|input| &input.workspace_build_id),
        Column::Type => JobType::text_of(job.r#type).to_owned(),
        Column::AvailableWorkers => job.available_workers.join(" "),
        Column::TemplateVersionName => metadata(|metadata| &metadata.template_version_name),
        Column::TemplateId => metadata(|metadata| &metadata.template_id),
        Column::TemplateName => metadata(|metadata| &metadata.template_name),
        Column::TemplateDisplayName => metadata(|metadata| &metadata.template_display_name),
        Column::TemplateIcon => metadata(|metadata| &metadata.template_icon),
        Column::WorkspaceId => metadata(|metadata| &metadata.workspace_id),
        Column::WorkspaceName => metadata(|metadata| &metadata.workspace_name),
        Column::WorkspaceBuildTransition => {
            metadata(|metadata| WorkspaceTransition::text_of(metadata.workspace_build_transition))
        }
        Column::LogsOverflowed => job.logs_overflowed.to_string(),
        Column::Organization => organization.to_owned(),
        Column::Queue if pending => format!("{}/{}", job.queue_position, job.queue_size),
        Column::Queue => String::new(),
        Column::ContactLostSince => output::time(job.contact_lost_since.as_ref()),
    }
}

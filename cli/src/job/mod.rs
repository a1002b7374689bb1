//! Jobs that a command waits for.

mod lines;
mod progress;
mod wait;

use anyhow::{Context as _, Result};
use orgplane_proto::provisioner::v1::{JobStatus, MatchedProvisioners, ProvisionerJob, StreamJobLogsRequest};
use orgplane_proto::template::v1::{
    CancelDryRunRequest, CancelTemplateVersionRequest, GetDryRunMatchedProvisionersRequest, GetDryRunRequest,
    GetTemplateVersionRequest,
};
use orgplane_proto::workspace::v1::{CancelWorkspaceBuildRequest, GetWorkspaceBuildRequest};

use crate::client::Client;

pub(crate) use lines::{Event, follow, stored};
pub(crate) use wait::{Waiting, to_the_end};

/// What a job is for, with the id of that.
#[derive(Debug, Clone)]
pub(crate) enum Job {
    /// A template version's import.
    Import(String),
    /// A dry run of a template version.
    DryRun { version: String, job: String },
    /// A workspace's build.
    Build(String),
}

/// Where a job stands.
pub(crate) struct Standing {
    pub(crate) job: ProvisionerJob,
    /// Who could do it; only while it waits.
    pub(crate) matched: Option<MatchedProvisioners>,
}

impl Job {
    /// Asks where it stands.
    pub(crate) async fn standing(&self, client: &Client) -> Result<Standing> {
        let (job, matched) = match self {
            Self::Import(id) => {
                let request = GetTemplateVersionRequest { template_version: id.clone() };
                let version = client.template_versions().get_template_version(request).await;
                let version = version.context("can't read the template version")?.into_inner();
                (version.job, version.matched_provisioners)
            }
            Self::DryRun { version, job } => {
                let request = GetDryRunRequest { template_version: version.clone(), job: job.clone() };
                let job = client.dry_runs().get_dry_run(request).await.context("can't read the dry run")?.into_inner();
                let matched = if job.status() == JobStatus::Pending {
                    let (template_version, job) = (version.clone(), job.id.clone());
                    let request = GetDryRunMatchedProvisionersRequest { template_version, job };
                    let matched = client.dry_runs().get_dry_run_matched_provisioners(request).await;
                    Some(matched.context("can't read who could do the dry run")?.into_inner())
                } else {
                    None
                };
                (Some(job), matched)
            }
            Self::Build(id) => {
                let request = GetWorkspaceBuildRequest { workspace_build: id.clone() };
                let build = client.workspace_builds().get_workspace_build(request).await;
                let build = build.context("can't read the build")?.into_inner();
                (build.job, build.matched_provisioners)
            }
        };
        Ok(Standing { job: job.context("the server's answer has no job")?, matched })
    }

    /// Asks the server to cancel it.
    pub(crate) async fn cancel(&self, client: &Client) -> Result<()> {
        match self {
            Self::Import(id) => {
                let request = CancelTemplateVersionRequest { template_version: id.clone() };
                client.template_versions().cancel_template_version(request).await.context("can't cancel the import")?;
            }
            Self::DryRun { version, job } => {
                let request = CancelDryRunRequest { template_version: version.clone(), job: job.clone() };
                client.dry_runs().cancel_dry_run(request).await.context("can't cancel the dry run")?;
            }
            Self::Build(id) => {
                let request = CancelWorkspaceBuildRequest { workspace_build: id.clone(), expect_status: String::new() };
                client.workspace_builds().cancel_workspace_build(request).await.context("can't cancel the build")?;
            }
        }
        Ok(())
    }

    fn log_request(&self) -> StreamJobLogsRequest {
        let mut request = StreamJobLogsRequest::default();
        match self {
            Self::Import(id) => request.template_version.clone_from(id),
            Self::DryRun { version, job } => {
                request.template_version.clone_from(version);
                request.job.clone_from(job);
            }
            Self::Build(id) => request.workspace_build.clone_from(id),
        }
        request
    }
}

/// Whether it goes on no more.
pub(crate) fn has_ended(job: &ProvisionerJob) -> bool {
    matches!(job.status(), JobStatus::Succeeded | JobStatus::Canceled | JobStatus::Failed)
}

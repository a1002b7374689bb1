//! Jobs and their logs.

use std::pin::Pin;

use futures_util::{Stream, StreamExt as _, stream};
use orgplane_proto::common::v1 as common;
use orgplane_proto::provisioner::v1::provisioner_job_service_server::ProvisionerJobService;
use orgplane_proto::provisioner::v1::{
    GetProvisionerJobRequest, ListProvisionerJobsRequest, ListProvisionerJobsResponse, ProvisionerJob,
    ReleaseProvisionerJobRequest, StreamJobLogsRequest, StreamJobLogsResponse,
};
use tonic::{Request, Response, Status};

use super::convert::{message, provisioner_job as convert};
use super::{Api, parts, status};
use crate::service::provisioner_job::LogQuery;

#[tonic::async_trait]
impl ProvisionerJobService for Api {
    async fn list_provisioner_jobs(
        &self,
        request: Request<ListProvisionerJobsRequest>,
    ) -> Result<Response<ListProvisionerJobsResponse>, Status> {
        let (caller, request) = parts(request)?;
        let jobs = self.0.job_list(&caller, convert::query(request)).await.map_err(status::of)?;
        Ok(Response::new(ListProvisionerJobsResponse { jobs: jobs.into_iter().map(convert::listed).collect() }))
    }

    async fn get_provisioner_job(
        &self,
        request: Request<GetProvisionerJobRequest>,
    ) -> Result<Response<ProvisionerJob>, Status> {
        let (caller, GetProvisionerJobRequest { organization, job }) = parts(request)?;
        let job = self.0.job_get(&caller, &organization, &job).await.map_err(status::of)?;
        Ok(Response::new(convert::listed(job)))
    }

    async fn release_provisioner_job(
        &self,
        request: Request<ReleaseProvisionerJobRequest>,
    ) -> Result<Response<common::Response>, Status> {
        let (caller, ReleaseProvisionerJobRequest { organization, job }) = parts(request)?;
        self.0.job_release(&caller, &organization, &job).await.map_err(status::of)?;
        Ok(Response::new(message("The job was released.")))
    }

    type StreamJobLogsStream = Pin<Box<dyn Stream<Item = Result<StreamJobLogsResponse, Status>> + Send>>;

    async fn stream_job_logs(
        &self,
        request: Request<StreamJobLogsRequest>,
    ) -> Result<Response<Self::StreamJobLogsStream>, Status> {
        let (caller, request) = parts(request)?;
        let StreamJobLogsRequest { template_version, workspace_build, after, job, follow } = request;
        let query = LogQuery { version: template_version, dry_run: job, build: workspace_build, after };
        if follow {
            let batches = self.0.job_log_follow(caller, query).await.map_err(status::of)?;
            return Ok(Response::new(Box::pin(batches.map(|lines| lines.map(convert::logs).map_err(status::of)))));
        }
        let reader = self.0.job_log(&caller, &query).await.map_err(status::of)?;
        let state = (self.0.clone(), reader);
        let batches = stream::try_unfold(state, |(service, mut reader)| async move {
            let lines = service.job_log_next(&mut reader).await.map_err(status::of)?;
            if lines.is_empty() {
                return Ok(None);
            }
            Ok(Some((convert::logs(lines), (service, reader))))
        });
        Ok(Response::new(Box::pin(batches)))
    }
}

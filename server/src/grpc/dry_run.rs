//! `DryRunService`.

use orgplane_proto::common::v1 as common;
use orgplane_proto::provisioner::v1::{MatchedProvisioners, ProvisionerJob};
use orgplane_proto::template::v1::dry_run_service_server::DryRunService;
use orgplane_proto::template::v1::{
    CancelDryRunRequest, CreateDryRunRequest, GetDryRunMatchedProvisionersRequest, GetDryRunRequest,
    ListDryRunResourcesRequest, ListDryRunResourcesResponse,
};
use tonic::{Request, Response, Status};

use super::convert::{dry_run as convert, job_view, message, workspace_build};
use super::{Api, parts, status};

#[tonic::async_trait]
impl DryRunService for Api {
    async fn create_dry_run(&self, request: Request<CreateDryRunRequest>) -> Result<Response<ProvisionerJob>, Status> {
        let (caller, m) = parts(request)?;
        let view = self.0.dry_run_create(&caller, convert::new_dry_run(m)).await.map_err(status::of)?;
        Ok(Response::new(job_view::job(view)))
    }

    async fn get_dry_run(&self, request: Request<GetDryRunRequest>) -> Result<Response<ProvisionerJob>, Status> {
        let (caller, GetDryRunRequest { template_version, job }) = parts(request)?;
        let view = self.0.dry_run_get(&caller, &template_version, &job).await.map_err(status::of)?;
        Ok(Response::new(job_view::job(view)))
    }

    async fn list_dry_run_resources(
        &self,
        request: Request<ListDryRunResourcesRequest>,
    ) -> Result<Response<ListDryRunResourcesResponse>, Status> {
        let (caller, ListDryRunResourcesRequest { template_version, job }) = parts(request)?;
        let views = self.0.dry_run_resources(&caller, &template_version, &job).await.map_err(status::of)?;
        let resources = views.into_iter().map(workspace_build::resource).collect();
        Ok(Response::new(ListDryRunResourcesResponse { resources }))
    }

    async fn get_dry_run_matched_provisioners(
        &self,
        request: Request<GetDryRunMatchedProvisionersRequest>,
    ) -> Result<Response<MatchedProvisioners>, Status> {
        let (caller, GetDryRunMatchedProvisionersRequest { template_version, job }) = parts(request)?;
        let matched = self.0.dry_run_matched(&caller, &template_version, &job).await.map_err(status::of)?;
        Ok(Response::new(job_view::matched(&matched)))
    }

    async fn cancel_dry_run(
        &self,
        request: Request<CancelDryRunRequest>,
    ) -> Result<Response<common::Response>, Status> {
        let (caller, CancelDryRunRequest { template_version, job }) = parts(request)?;
        self.0.dry_run_cancel(&caller, &template_version, &job).await.map_err(status::of)?;
        Ok(Response::new(message("The dry run is being canceled.")))
    }
}

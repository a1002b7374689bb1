//! `WorkspaceBuildService`.

use std::pin::Pin;

use futures_util::Stream;
use orgplane_proto::common::v1 as common;
use orgplane_proto::workspace::v1::workspace_build_service_server::WorkspaceBuildService;
use orgplane_proto::workspace::v1::{
    CancelWorkspaceBuildRequest, CreateWorkspaceBuildRequest, DownloadWorkspaceBuildStateRequest,
    GetWorkspaceBuildByNumberRequest, GetWorkspaceBuildRequest, GetWorkspaceBuildTimingsRequest,
    GetWorkspaceTimingsRequest, ListWorkspaceBuildResourcesRequest, ListWorkspaceBuildResourcesResponse,
    ListWorkspaceBuildsRequest, ListWorkspaceBuildsResponse, WorkspaceBuild, WorkspaceBuildTimings,
};
use tonic::{Request, Response, Status};

use super::convert::{message, workspace_build as convert};
use super::file::chunks;
use super::{Api, parts, status};

#[tonic::async_trait]
impl WorkspaceBuildService for Api {
    async fn create_workspace_build(
        &self,
        request: Request<CreateWorkspaceBuildRequest>,
    ) -> Result<Response<WorkspaceBuild>, Status> {
        let (caller, m) = parts(request)?;
        let asked = convert::build_request(m).map_err(status::of)?;
        let view = self.0.build_create(&caller, asked).await.map_err(status::of)?;
        Ok(Response::new(convert::build(view)))
    }

    async fn list_workspace_builds(
        &self,
        request: Request<ListWorkspaceBuildsRequest>,
    ) -> Result<Response<ListWorkspaceBuildsResponse>, Status> {
        let (caller, m) = parts(request)?;
        let ListWorkspaceBuildsRequest { workspace, limit, offset, after_id, since } = m;
        let since = convert::since(since.as_ref());
        let views = self.0.build_list(&caller, &workspace, (limit, offset), &after_id, since);
        let builds = views.await.map_err(status::of)?.into_iter().map(convert::build).collect();
        Ok(Response::new(ListWorkspaceBuildsResponse { builds }))
    }

    async fn get_workspace_build(
        &self,
        request: Request<GetWorkspaceBuildRequest>,
    ) -> Result<Response<WorkspaceBuild>, Status> {
        let (caller, GetWorkspaceBuildRequest { workspace_build }) = parts(request)?;
        let view = self.0.build_get(&caller, &workspace_build).await.map_err(status::of)?;
        Ok(Response::new(convert::build(view)))
    }

    async fn get_workspace_build_by_number(
        &self,
        request: Request<GetWorkspaceBuildByNumberRequest>,
    ) -> Result<Response<WorkspaceBuild>, Status> {
        let (caller, GetWorkspaceBuildByNumberRequest { user, workspace_name, build_number }) = parts(request)?;
        let view = self.0.build_get_by_number(&caller, &user, &workspace_name, build_number);
        Ok(Response::new(convert::build(view.await.map_err(status::of)?)))
    }

    async fn cancel_workspace_build(
        &self,
        request: Request<CancelWorkspaceBuildRequest>,
    ) -> Result<Response<common::Response>, Status> {
        let (caller, CancelWorkspaceBuildRequest { workspace_build, expect_status }) = parts(request)?;
        self.0.build_cancel(&caller, &workspace_build, &expect_status).await.map_err(status::of)?;
        Ok(Response::new(message("The build is being canceled.")))
    }

    async fn list_workspace_build_resources(
        &self,
        request: Request<ListWorkspaceBuildResourcesRequest>,
    ) -> Result<Response<ListWorkspaceBuildResourcesResponse>, Status> {
        let (caller, ListWorkspaceBuildResourcesRequest { workspace_build }) = parts(request)?;
        let views = self.0.build_resources(&caller, &workspace_build).await.map_err(status::of)?;
        let resources = views.into_iter().map(convert::resource).collect();
        Ok(Response::new(ListWorkspaceBuildResourcesResponse { resources }))
    }

    async fn get_workspace_build_timings(
        &self,
        request: Request<GetWorkspaceBuildTimingsRequest>,
    ) -> Result<Response<WorkspaceBuildTimings>, Status> {
        let (caller, GetWorkspaceBuildTimingsRequest { workspace_build }) = parts(request)?;
        let timings = self.0.build_timings(&caller, &workspace_build).await.map_err(status::of)?;
        Ok(Response::new(convert::timings(timings)))
    }

    async fn get_workspace_timings(
        &self,
        request: Request<GetWorkspaceTimingsRequest>,
    ) -> Result<Response<WorkspaceBuildTimings>, Status> {
        let (caller, GetWorkspaceTimingsRequest { workspace }) = parts(request)?;
        let timings = self.0.workspace_timings(&caller, &workspace).await.map_err(status::of)?;
        Ok(Response::new(convert::timings(timings)))
    }

    type DownloadWorkspaceBuildStateStream = Pin<Box<dyn Stream<Item = Result<common::Chunk, Status>> + Send>>;

    async fn download_workspace_build_state(
        &self,
        request: Request<DownloadWorkspaceBuildStateRequest>,
    ) -> Result<Response<Self::DownloadWorkspaceBuildStateStream>, Status> {
        let (caller, DownloadWorkspaceBuildStateRequest { workspace_build, salvaged }) = parts(request)?;
        let rows = self.0.build_state(&caller, &workspace_build, salvaged).await.map_err(status::of)?;
        Ok(Response::new(Box::pin(chunks(rows))))
    }
}

//! `WorkspaceService`.

use std::pin::Pin;

use futures_util::{Stream, StreamExt as _};
use orgplane_proto::workspace::v1::workspace_service_server::WorkspaceService;
use orgplane_proto::workspace::v1::{
    CreateWorkspaceRequest, GetWorkspaceByNameRequest, GetWorkspaceRequest, ListWorkspacesRequest,
    ListWorkspacesResponse, WatchWorkspaceRequest, WatchWorkspaceResponse, Workspace,
};
use tonic::{Request, Response, Status};

use super::convert::workspace as convert;
use super::{Api, parts, status};
use crate::service::workspace::WorkspaceSearch;

#[tonic::async_trait]
impl WorkspaceService for Api {
    async fn create_workspace(&self, request: Request<CreateWorkspaceRequest>) -> Result<Response<Workspace>, Status> {
        let (caller, m) = parts(request)?;
        let view = self.0.workspace_create(&caller, convert::new_workspace(m)).await.map_err(status::of)?;
        Ok(Response::new(convert::workspace(view)))
    }

    async fn list_workspaces(
        &self,
        request: Request<ListWorkspacesRequest>,
    ) -> Result<Response<ListWorkspacesResponse>, Status> {
        let (caller, ListWorkspacesRequest { q, limit, offset }) = parts(request)?;
        let found = self.0.workspace_list(&caller, WorkspaceSearch { q, limit, offset }).await;
        let (views, count) = found.map_err(status::of)?;
        let workspaces = views.into_iter().map(convert::workspace).collect();
        Ok(Response::new(ListWorkspacesResponse { workspaces, count: i32::try_from(count).unwrap_or(i32::MAX) }))
    }

    async fn get_workspace(&self, request: Request<GetWorkspaceRequest>) -> Result<Response<Workspace>, Status> {
        let (caller, GetWorkspaceRequest { workspace, include_deleted }) = parts(request)?;
        let view = self.0.workspace_get(&caller, &workspace, include_deleted).await.map_err(status::of)?;
        Ok(Response::new(convert::workspace(view)))
    }

    type WatchWorkspaceStream = Pin<Box<dyn Stream<Item = Result<WatchWorkspaceResponse, Status>> + Send>>;

    async fn watch_workspace(
        &self,
        request: Request<WatchWorkspaceRequest>,
    ) -> Result<Response<Self::WatchWorkspaceStream>, Status> {
        let (caller, WatchWorkspaceRequest { workspace }) = parts(request)?;
        let views = self.0.workspace_watch(caller, &workspace).await.map_err(status::of)?;
        let messages = views.map(|view| {
            let workspace = view.map_err(status::of)?.map(convert::workspace);
            Ok(WatchWorkspaceResponse { workspace })
        });
        Ok(Response::new(Box::pin(messages)))
    }

    async fn get_workspace_by_name(
        &self,
        request: Request<GetWorkspaceByNameRequest>,
    ) -> Result<Response<Workspace>, Status> {
        let (caller, GetWorkspaceByNameRequest { user, workspace_name, include_deleted }) = parts(request)?;
        let view = self.0.workspace_get_by_name(&caller, &user, &workspace_name, include_deleted);
        Ok(Response::new(convert::workspace(view.await.map_err(status::of)?)))
    }
}

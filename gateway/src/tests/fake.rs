//! Services that keep what they are sent and answer what they are told to.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt::Debug;
use std::result::Result;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use orgplane_proto::common::v1::{Chunk, Empty, Response as Message};
use orgplane_proto::context::{ClientAddress, RequestId};
use orgplane_proto::identity::v1::session_service_server::{SessionService, SessionServiceServer};
use orgplane_proto::identity::v1::*;
use orgplane_proto::organization::v1::organization_service_server::{OrganizationService, OrganizationServiceServer};
use orgplane_proto::organization::v1::*;
use orgplane_proto::provisioner::v1::provisioner_job_service_server::{
    ProvisionerJobService, ProvisionerJobServiceServer,
};
use orgplane_proto::provisioner::v1::provisioner_key_service_server::{
    ProvisionerKeyService, ProvisionerKeyServiceServer,
};
use orgplane_proto::provisioner::v1::*;
use orgplane_proto::template::v1::file_service_server::{FileService, FileServiceServer};
use orgplane_proto::template::v1::template_version_service_server::{
    TemplateVersionService, TemplateVersionServiceServer,
};
use orgplane_proto::template::v1::*;
use orgplane_proto::workspace::v1::workspace_build_service_server::{
    WorkspaceBuildService, WorkspaceBuildServiceServer,
};
use orgplane_proto::workspace::v1::*;
use tonic::metadata::MetadataMap;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

/// A call that has come in.
pub(super) struct Seen {
    message: Box<dyn Any + Send>,
    pub(super) metadata: MetadataMap,
    pub(super) address: Option<ClientAddress>,
    pub(super) request_id: Option<RequestId>,
}

impl Seen {
    pub(super) fn message<T: Clone + 'static>(&self) -> T {
        self.message.downcast_ref::<T>().expect("another message came").clone()
    }
}

type Reply = Result<Box<dyn Any + Send>, Status>;
pub(super) type Messages<T> = Vec<Result<T, Status>>;

#[derive(Clone, Default)]
pub(super) struct Fake {
    seen: Arc<Mutex<Vec<Seen>>>,
    replies: Arc<Mutex<VecDeque<Reply>>>,
    delay: Arc<Mutex<Duration>>,
    refuse_uploads: Arc<AtomicBool>,
}

impl Fake {
    /// The next call is answered with this; a call without an answer is `UNIMPLEMENTED`.
    pub(super) fn reply<T: Send + 'static>(&self, reply: T) {
        self.replies.lock().unwrap().push_back(Ok(Box::new(reply)));
    }

    pub(super) fn fail(&self, status: Status) {
        self.replies.lock().unwrap().push_back(Err(status));
    }

    pub(super) fn delay(&self, delay: Duration) {
        *self.delay.lock().unwrap() = delay;
    }

    /// Whether uploads are refused at their first message.
    pub(super) fn refuse_uploads(&self, refuse: bool) {
        self.refuse_uploads.store(refuse, Ordering::SeqCst);
    }

    pub(super) fn seen(&self) -> Seen {
        self.seen.lock().unwrap().pop().expect("no call came")
    }

    pub(super) fn saw_nothing(&self) -> bool {
        self.seen.lock().unwrap().is_empty()
    }

    fn take<T: 'static>(&self) -> Result<T, Status> {
        let next = self.replies.lock().unwrap().pop_front();
        let next = next.ok_or_else(|| Status::unimplemented("no answer was told"))??;
        Ok(*next.downcast::<T>().expect("the answer told is of another type"))
    }

    async fn answer<Q: Debug + Send + 'static, R: 'static>(&self, request: Request<Q>) -> Result<R, Status> {
        let delay = *self.delay.lock().unwrap();
        let (metadata, extensions, message) = request.into_parts();
        let address = extensions.get().copied();
        let request_id = extensions.get().copied();
        self.seen.lock().unwrap().push(Seen { message: Box::new(message), metadata, address, request_id });
        tokio::time::sleep(delay).await;
        self.take()
    }

    pub(super) fn routes(&self) -> axum::Router {
        Routes::new(SessionServiceServer::new(self.clone()))
            .add_service(OrganizationServiceServer::new(self.clone()))
            .add_service(ProvisionerJobServiceServer::new(self.clone()))
            .add_service(ProvisionerKeyServiceServer::new(self.clone()))
            .add_service(FileServiceServer::new(self.clone()))
            .add_service(TemplateVersionServiceServer::new(self.clone()))
            .add_service(WorkspaceBuildServiceServer::new(self.clone()))
            .into_axum_router()
    }
}

macro_rules! fake {
    ($service:ident { $(rpc $name:ident($request:ty) -> $reply:ty;)* $(stream $stream:ident $streamed:ident($query:ty) -> $item:ty;)? }) => {
        #[tonic::async_trait]
        impl $service for Fake {
            $(async fn $name(&self, request: Request<$request>) -> Result<Response<$reply>, Status> {
                self.answer(request).await.map(Response::new)
            })*
            $(type $stream = BoxStream<'static, Result<$item, Status>>;

            async fn $streamed(&self, request: Request<$query>) -> Result<Response<Self::$stream>, Status> {
                let messages: Messages<$item> = self.answer(request).await?;
                Ok(Response::new(stream::iter(messages).boxed()))
            })?
        }
    };
}

fake!(SessionService {
    rpc login(LoginRequest) -> LoginResponse;
    rpc logout(LogoutRequest) -> Message;
});

fake!(OrganizationService {
    rpc list_organizations(ListOrganizationsRequest) -> ListOrganizationsResponse;
    rpc create_organization(CreateOrganizationRequest) -> Organization;
    rpc get_organization(GetOrganizationRequest) -> Organization;
    rpc update_organization(UpdateOrganizationRequest) -> Organization;
    rpc delete_organization(DeleteOrganizationRequest) -> Message;
    rpc list_user_organizations(ListUserOrganizationsRequest) -> ListOrganizationsResponse;
    rpc get_user_organization(GetUserOrganizationRequest) -> Organization;
});

fake!(ProvisionerKeyService {
    rpc list_provisioner_keys(ListProvisionerKeysRequest) -> ListProvisionerKeysResponse;
    rpc create_provisioner_key(CreateProvisionerKeyRequest) -> CreateProvisionerKeyResponse;
    rpc delete_provisioner_key(DeleteProvisionerKeyRequest) -> Empty;
});

fake!(ProvisionerJobService {
    rpc list_provisioner_jobs(ListProvisionerJobsRequest) -> ListProvisionerJobsResponse;
    rpc get_provisioner_job(GetProvisionerJobRequest) -> ProvisionerJob;
    rpc release_provisioner_job(ReleaseProvisionerJobRequest) -> Message;
    stream StreamJobLogsStream stream_job_logs(StreamJobLogsRequest) -> StreamJobLogsResponse;
});

fake!(TemplateVersionService {
    rpc create_template_version(CreateTemplateVersionRequest) -> TemplateVersion;
    rpc get_template_version(GetTemplateVersionRequest) -> TemplateVersion;
    rpc list_template_versions(ListTemplateVersionsRequest) -> ListTemplateVersionsResponse;
    rpc cancel_template_version(CancelTemplateVersionRequest) -> Message;
    rpc list_template_version_variables(ListTemplateVersionVariablesRequest) -> ListTemplateVersionVariablesResponse;
    rpc list_template_version_resources(ListTemplateVersionResourcesRequest) -> ListTemplateVersionResourcesResponse;
});

fake!(WorkspaceBuildService {
    rpc create_workspace_build(CreateWorkspaceBuildRequest) -> WorkspaceBuild;
    rpc list_workspace_builds(ListWorkspaceBuildsRequest) -> ListWorkspaceBuildsResponse;
    rpc get_workspace_build(GetWorkspaceBuildRequest) -> WorkspaceBuild;
    rpc get_workspace_build_by_number(GetWorkspaceBuildByNumberRequest) -> WorkspaceBuild;
    rpc cancel_workspace_build(CancelWorkspaceBuildRequest) -> Message;
    rpc list_workspace_build_resources(ListWorkspaceBuildResourcesRequest) -> ListWorkspaceBuildResourcesResponse;
    rpc get_workspace_build_timings(GetWorkspaceBuildTimingsRequest) -> WorkspaceBuildTimings;
    rpc get_workspace_timings(GetWorkspaceTimingsRequest) -> WorkspaceBuildTimings;
    stream DownloadWorkspaceBuildStateStream download_workspace_build_state(DownloadWorkspaceBuildStateRequest) -> Chunk;
});

/// Says to its service that a call ended before its answer.
struct Guard(Fake, bool);

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.1 {
            let dropped =
                Seen { message: Box::new("dropped"), metadata: MetadataMap::new(), address: None, request_id: None };
            self.0.seen.lock().unwrap().push(dropped);
        }
    }
}

#[tonic::async_trait]
impl FileService for Fake {
    async fn upload_file(
        &self,
        request: Request<Streaming<UploadFileRequest>>,
    ) -> Result<Response<UploadFileResponse>, Status> {
        let mut guard = Guard(self.clone(), false);
        let (metadata, extensions, mut stream) = request.into_parts();
        let mut all: Vec<UploadFileRequest> = Vec::new();
        while let Some(message) = stream.message().await? {
            all.push(message);
            if self.refuse_uploads.load(Ordering::SeqCst) {
                return Err(Status::invalid_argument("A bad archive."));
            }
        }
        guard.1 = true;
        let mut request = Request::new(all);
        *request.metadata_mut() = metadata;
        *request.extensions_mut() = extensions;
        self.answer(request).await.map(Response::new)
    }

    type DownloadFileStream = BoxStream<'static, Result<Chunk, Status>>;

    async fn download_file(
        &self,
        request: Request<DownloadFileRequest>,
    ) -> Result<Response<Self::DownloadFileStream>, Status> {
        let messages: Messages<Chunk> = self.answer(request).await?;
        Ok(Response::new(stream::iter(messages).boxed()))
    }
}

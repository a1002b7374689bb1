//! Daemons: listed for people; connected, and given bytes, by their key.

mod bytes;
mod connect;
mod inbox;
#[cfg(test)]
mod tests;

use std::pin::Pin;

use futures_util::Stream;
use orgplane_proto::provisioner::v1::provisioner_daemon_service_server::ProvisionerDaemonService;
use orgplane_proto::provisioner::v1::{
    DaemonMessage, DownloadRequest, DownloadResponse, ListProvisionerDaemonsRequest, ListProvisionerDaemonsResponse,
    ServerMessage, UploadRequest, UploadResponse,
};
use tonic::{Request, Response, Status, Streaming};

use super::convert::provisioner_daemon as convert;
use super::{Api, parts, status};

/// Bytes of the largest message of a daemon.
pub(super) const LARGEST_MESSAGE: usize = 1024 * 1024;

#[tonic::async_trait]
impl ProvisionerDaemonService for Api {
    async fn list_provisioner_daemons(
        &self,
        request: Request<ListProvisionerDaemonsRequest>,
    ) -> Result<Response<ListProvisionerDaemonsResponse>, Status> {
        let (caller, request) = parts(request)?;
        let query = convert::query(request);
        let daemons = self.0.daemon_list(&caller, query).await.map_err(status::of)?;
        let provisioner_daemons = daemons.into_iter().map(convert::daemon).collect();
        Ok(Response::new(ListProvisionerDaemonsResponse { daemons: provisioner_daemons }))
    }

    type ConnectStream = Pin<Box<dyn Stream<Item = Result<ServerMessage, Status>> + Send>>;

    async fn connect(
        &self,
        request: Request<Streaming<DaemonMessage>>,
    ) -> Result<Response<Self::ConnectStream>, Status> {
        let (caller, messages) = parts(request)?;
        let key = caller.daemon().map_err(status::of)?.clone();
        let stream = connect::open(self.0.clone(), key, messages).await.map_err(status::of)?;
        Ok(Response::new(stream))
    }

    type DownloadStream = Pin<Box<dyn Stream<Item = Result<DownloadResponse, Status>> + Send>>;

    async fn download(&self, request: Request<DownloadRequest>) -> Result<Response<Self::DownloadStream>, Status> {
        let (caller, request) = parts(request)?;
        let stream = bytes::download(self.0.clone(), &caller, request).await.map_err(status::of)?;
        Ok(Response::new(stream))
    }

    async fn upload(&self, request: Request<Streaming<UploadRequest>>) -> Result<Response<UploadResponse>, Status> {
        let (caller, pieces) = parts(request)?;
        bytes::upload(&self.0, &caller, pieces).await.map(Response::new)
    }
}

//! `ProvisionerKeyService`.

use orgplane_proto::common::v1::Empty;
use orgplane_proto::provisioner::v1::provisioner_key_service_server::ProvisionerKeyService;
use orgplane_proto::provisioner::v1::{
    CreateProvisionerKeyRequest, CreateProvisionerKeyResponse, DeleteProvisionerKeyRequest, ListProvisionerKeysRequest,
    ListProvisionerKeysResponse,
};
use tonic::{Request, Response, Status};

use super::convert::provisioner_key as convert;
use super::{Api, parts, status};

#[tonic::async_trait]
impl ProvisionerKeyService for Api {
    async fn list_provisioner_keys(
        &self,
        request: Request<ListProvisionerKeysRequest>,
    ) -> Result<Response<ListProvisionerKeysResponse>, Status> {
        let (caller, m) = parts(request)?;
        let rows = self.0.provisioner_key_list(&caller, &m.organization).await.map_err(status::of)?;
        let provisioner_keys = rows.into_iter().map(convert::provisioner_key).collect();
        Ok(Response::new(ListProvisionerKeysResponse { provisioner_keys }))
    }

    async fn create_provisioner_key(
        &self,
        request: Request<CreateProvisionerKeyRequest>,
    ) -> Result<Response<CreateProvisionerKeyResponse>, Status> {
        let (caller, m) = parts(request)?;
        let CreateProvisionerKeyRequest { organization, name, tags } = m;
        let key = self.0.provisioner_key_create(&caller, &organization, &name, tags).await.map_err(status::of)?;
        Ok(Response::new(CreateProvisionerKeyResponse { key: key.reveal().to_owned() }))
    }

    async fn delete_provisioner_key(
        &self,
        request: Request<DeleteProvisionerKeyRequest>,
    ) -> Result<Response<Empty>, Status> {
        let (caller, m) = parts(request)?;
        let deleted = self.0.provisioner_key_delete(&caller, &m.organization, &m.provisioner_key).await;
        deleted.map_err(status::of)?;
        Ok(Response::new(Empty {}))
    }
}

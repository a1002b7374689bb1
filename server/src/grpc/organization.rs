//! `OrganizationService`.

use orgplane_proto::common::v1 as common;
use orgplane_proto::organization::v1::organization_service_server::OrganizationService;
use orgplane_proto::organization::v1::{
    CreateOrganizationRequest, DeleteOrganizationRequest, GetOrganizationRequest, GetUserOrganizationRequest,
    ListOrganizationsRequest, ListOrganizationsResponse, ListUserOrganizationsRequest, Organization,
    UpdateOrganizationRequest,
};
use tonic::{Request, Response, Status};

use super::convert::{message, organization as convert};
use super::{Api, parts, status};

#[tonic::async_trait]
impl OrganizationService for Api {
    async fn list_organizations(
        &self,
        request: Request<ListOrganizationsRequest>,
    ) -> Result<Response<ListOrganizationsResponse>, Status> {
        let (caller, ListOrganizationsRequest {}) = parts(request)?;
        let rows = self.0.organization_list(&caller).await.map_err(status::of)?;
        Ok(Response::new(convert::organizations(rows)))
    }

    async fn create_organization(
        &self,
        request: Request<CreateOrganizationRequest>,
    ) -> Result<Response<Organization>, Status> {
        let (caller, m) = parts(request)?;
        let row = self.0.organization_create(&caller, convert::new_organization(m)).await.map_err(status::of)?;
        Ok(Response::new(convert::organization(row)))
    }

    async fn get_organization(
        &self,
        request: Request<GetOrganizationRequest>,
    ) -> Result<Response<Organization>, Status> {
        let (caller, m) = parts(request)?;
        let row = self.0.organization_resolve(&caller, &m.organization).await.map_err(status::of)?;
        Ok(Response::new(convert::organization(row)))
    }

    async fn update_organization(
        &self,
        request: Request<UpdateOrganizationRequest>,
    ) -> Result<Response<Organization>, Status> {
        let (caller, m) = parts(request)?;
        let (organization, change) = convert::organization_change(m);
        let row = self.0.organization_update(&caller, &organization, change).await.map_err(status::of)?;
        Ok(Response::new(convert::organization(row)))
    }

    async fn delete_organization(
        &self,
        request: Request<DeleteOrganizationRequest>,
    ) -> Result<Response<common::Response>, Status> {
        let (caller, m) = parts(request)?;
        self.0.organization_delete(&caller, &m.organization).await.map_err(status::of)?;
        Ok(Response::new(message("The organization has been deleted.")))
    }

    async fn list_user_organizations(
        &self,
        request: Request<ListUserOrganizationsRequest>,
    ) -> Result<Response<ListOrganizationsResponse>, Status> {
        let (caller, m) = parts(request)?;
        let rows = self.0.user_organization_list(&caller, &m.user).await.map_err(status::of)?;
        Ok(Response::new(convert::organizations(rows)))
    }

    async fn get_user_organization(
        &self,
        request: Request<GetUserOrganizationRequest>,
    ) -> Result<Response<Organization>, Status> {
        let (caller, m) = parts(request)?;
        let row = self.0.user_organization_get(&caller, &m.user, &m.organization_name).await.map_err(status::of)?;
        Ok(Response::new(convert::organization(row)))
    }
}

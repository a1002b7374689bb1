//! `RoleService`.

use orgplane_proto::common::v1::Empty;
use orgplane_proto::organization::v1::role_service_server::RoleService;
use orgplane_proto::organization::v1::{
    CustomRoleRequest, DeleteCustomRoleRequest, ListOrganizationRolesRequest, ListOrganizationRolesResponse, Role,
};
use tonic::{Request, Response, Status};

use super::convert::role as convert;
use super::{Api, parts, status};

#[tonic::async_trait]
impl RoleService for Api {
    async fn list_organization_roles(
        &self,
        request: Request<ListOrganizationRolesRequest>,
    ) -> Result<Response<ListOrganizationRolesResponse>, Status> {
        let (caller, m) = parts(request)?;
        let (organization, roles) = self.0.role_list(&caller, &m.organization).await.map_err(status::of)?;
        let roles = roles.into_iter().map(|role| convert::assignable(organization, role)).collect();
        Ok(Response::new(ListOrganizationRolesResponse { roles }))
    }

    async fn create_custom_role(&self, request: Request<CustomRoleRequest>) -> Result<Response<Role>, Status> {
        let (caller, m) = parts(request)?;
        let (organization, draft) = convert::draft(m);
        let row = self.0.custom_role_create(&caller, &organization, draft).await.map_err(status::of)?;
        Ok(Response::new(convert::role(row)))
    }

    async fn update_custom_role(&self, request: Request<CustomRoleRequest>) -> Result<Response<Role>, Status> {
        let (caller, m) = parts(request)?;
        let (organization, draft) = convert::draft(m);
        let row = self.0.custom_role_update(&caller, &organization, draft).await.map_err(status::of)?;
        Ok(Response::new(convert::role(row)))
    }

    async fn delete_custom_role(&self, request: Request<DeleteCustomRoleRequest>) -> Result<Response<Empty>, Status> {
        let (caller, m) = parts(request)?;
        self.0.custom_role_delete(&caller, &m.organization, &m.role_name).await.map_err(status::of)?;
        Ok(Response::new(Empty {}))
    }
}

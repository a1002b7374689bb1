//! `TemplateVersionService`.

use orgplane_proto::common::v1 as common;
use orgplane_proto::template::v1::template_version_service_server::TemplateVersionService;
use orgplane_proto::template::v1::{
    CancelTemplateVersionRequest, CreateTemplateVersionRequest, GetTemplateVersionRequest,
    ListTemplateVersionResourcesRequest, ListTemplateVersionResourcesResponse, ListTemplateVersionVariablesRequest,
    ListTemplateVersionVariablesResponse, ListTemplateVersionsRequest, ListTemplateVersionsResponse, TemplateVersion,
};
use tonic::{Request, Response, Status};

use super::convert::{message, template_version as convert, workspace_build};
use super::{Api, parts, status};

#[tonic::async_trait]
impl TemplateVersionService for Api {
    async fn create_template_version(
        &self,
        request: Request<CreateTemplateVersionRequest>,
    ) -> Result<Response<TemplateVersion>, Status> {
        let (caller, m) = parts(request)?;
        let new = convert::new_template_version(m);
        let view = self.0.template_version_create(&caller, new).await.map_err(status::of)?;
        Ok(Response::new(convert::template_version(view)))
    }

    async fn get_template_version(
        &self,
        request: Request<GetTemplateVersionRequest>,
    ) -> Result<Response<TemplateVersion>, Status> {
        let (caller, GetTemplateVersionRequest { template_version }) = parts(request)?;
        let view = self.0.template_version_get(&caller, &template_version).await.map_err(status::of)?;
        Ok(Response::new(convert::template_version(view)))
    }

    async fn list_template_versions(
        &self,
        request: Request<ListTemplateVersionsRequest>,
    ) -> Result<Response<ListTemplateVersionsResponse>, Status> {
        let (caller, m) = parts(request)?;
        // Nothing is ever archived yet, so that asking for archived ones too changes nothing.
        let ListTemplateVersionsRequest { template, limit, offset, after_id, include_archived: _ } = m;
        let views = self.0.template_version_list(&caller, &template, (limit, offset), &after_id);
        let versions = views.await.map_err(status::of)?.into_iter().map(convert::template_version).collect();
        Ok(Response::new(ListTemplateVersionsResponse { versions }))
    }

    async fn cancel_template_version(
        &self,
        request: Request<CancelTemplateVersionRequest>,
    ) -> Result<Response<common::Response>, Status> {
        let (caller, CancelTemplateVersionRequest { template_version }) = parts(request)?;
        self.0.template_version_cancel(&caller, &template_version).await.map_err(status::of)?;
        Ok(Response::new(message("The import is being canceled.")))
    }

    async fn list_template_version_variables(
        &self,
        request: Request<ListTemplateVersionVariablesRequest>,
    ) -> Result<Response<ListTemplateVersionVariablesResponse>, Status> {
        let (caller, ListTemplateVersionVariablesRequest { template_version }) = parts(request)?;
        let found = self.0.template_version_variables(&caller, &template_version).await.map_err(status::of)?;
        let variables = found.into_iter().map(convert::variable).collect();
        Ok(Response::new(ListTemplateVersionVariablesResponse { variables }))
    }

    async fn list_template_version_resources(
        &self,
        request: Request<ListTemplateVersionResourcesRequest>,
    ) -> Result<Response<ListTemplateVersionResourcesResponse>, Status> {
        let (caller, ListTemplateVersionResourcesRequest { template_version }) = parts(request)?;
        let found = self.0.template_version_resources(&caller, &template_version).await.map_err(status::of)?;
        let resources = found.into_iter().map(workspace_build::resource).collect();
        Ok(Response::new(ListTemplateVersionResourcesResponse { resources }))
    }
}

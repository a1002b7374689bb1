//! `TemplateService`.

use orgplane_proto::common::v1 as common;
use orgplane_proto::template::v1::template_service_server::TemplateService;
use orgplane_proto::template::v1::{
    CreateTemplateRequest, DeleteTemplateRequest, GetTemplateByNameRequest, GetTemplateRequest, ListTemplatesRequest,
    ListTemplatesResponse, Template, UpdateActiveTemplateVersionRequest,
};
use tonic::{Request, Response, Status};

use super::convert::{message, template as convert};
use super::{Api, parts, status};

#[tonic::async_trait]
impl TemplateService for Api {
    async fn create_template(&self, request: Request<CreateTemplateRequest>) -> Result<Response<Template>, Status> {
        let (caller, m) = parts(request)?;
        let view = self.0.template_create(&caller, convert::new_template(m)).await.map_err(status::of)?;
        Ok(Response::new(convert::template(view)))
    }

    async fn list_templates(
        &self,
        request: Request<ListTemplatesRequest>,
    ) -> Result<Response<ListTemplatesResponse>, Status> {
        let (caller, ListTemplatesRequest { organization, q }) = parts(request)?;
        let views = self.0.template_list(&caller, &organization, &q).await.map_err(status::of)?;
        let templates = views.into_iter().map(convert::template).collect();
        Ok(Response::new(ListTemplatesResponse { templates }))
    }

    async fn get_template(&self, request: Request<GetTemplateRequest>) -> Result<Response<Template>, Status> {
        let (caller, GetTemplateRequest { template }) = parts(request)?;
        let view = self.0.template_get(&caller, &template).await.map_err(status::of)?;
        Ok(Response::new(convert::template(view)))
    }

    async fn get_template_by_name(
        &self,
        request: Request<GetTemplateByNameRequest>,
    ) -> Result<Response<Template>, Status> {
        let (caller, GetTemplateByNameRequest { organization, template_name }) = parts(request)?;
        let view = self.0.template_get_by_name(&caller, &organization, &template_name).await.map_err(status::of)?;
        Ok(Response::new(convert::template(view)))
    }

    async fn delete_template(
        &self,
        request: Request<DeleteTemplateRequest>,
    ) -> Result<Response<common::Response>, Status> {
        let (caller, DeleteTemplateRequest { template }) = parts(request)?;
        self.0.template_delete(&caller, &template).await.map_err(status::of)?;
        Ok(Response::new(message("The template has been deleted.")))
    }

    async fn update_active_template_version(
        &self,
        request: Request<UpdateActiveTemplateVersionRequest>,
    ) -> Result<Response<common::Response>, Status> {
        let (caller, UpdateActiveTemplateVersionRequest { template, id }) = parts(request)?;
        self.0.template_activate(&caller, &template, &id).await.map_err(status::of)?;
        Ok(Response::new(message("The version is active.")))
    }
}

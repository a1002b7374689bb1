//! `TemplateService`.

use orgplane_proto::template::v1::template_service_server::TemplateService;
use orgplane_proto::template::v1::{
    CreateTemplateRequest, GetTemplateByNameRequest, GetTemplateRequest, ListTemplatesRequest, ListTemplatesResponse,
    Template,
};
use tonic::{Request, Response, Status};

use super::convert::template as convert;
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
        let (caller, ListTemplatesRequest { organization }) = parts(request)?;
        let views = self.0.template_list(&caller, &organization).await.map_err(status::of)?;
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
}

//! `AuthorizationService`.

use orgplane_proto::identity::v1::authorization_service_server::AuthorizationService;
use orgplane_proto::identity::v1::{
    AuthorizationCheck, AuthorizationObject, CheckAuthorizationRequest, CheckAuthorizationResponse, ListScopesRequest,
    ListScopesResponse,
};
use tonic::{Request, Response, Status};

use super::{Api, parts, status};
use crate::domain::permission::Scope;
use crate::service::Question;

#[tonic::async_trait]
impl AuthorizationService for Api {
    async fn check_authorization(
        &self,
        request: Request<CheckAuthorizationRequest>,
    ) -> Result<Response<CheckAuthorizationResponse>, Status> {
        let (caller, CheckAuthorizationRequest { checks }) = parts(request)?;
        let questions = checks.into_iter().map(|(name, check)| (name, question(check))).collect();
        let results = self.0.authorization_check(&caller, questions).await.map_err(status::of)?;
        Ok(Response::new(CheckAuthorizationResponse { results }))
    }

    async fn list_scopes(&self, _request: Request<ListScopesRequest>) -> Result<Response<ListScopesResponse>, Status> {
        Ok(Response::new(ListScopesResponse { external: Scope::names() }))
    }
}

fn question(check: AuthorizationCheck) -> Question {
    let AuthorizationCheck { object, action } = check;
    let AuthorizationObject { resource_type, owner_id, organization_id, resource_id, any_org } =
        object.unwrap_or_default();
    Question { resource_type, owner_id, organization_id, resource_id, any_organization: any_org, action }
}

//! `DeploymentService`.

use std::result::Result;

use orgplane_proto::deployment::v1::deployment_service_server::DeploymentService;
use orgplane_proto::deployment::v1::{
    AuthMethod, AuthMethods, AvailableExperiments, BuildInfo, Entitlement, Entitlements, Feature,
    GetAuthMethodsRequest, GetBuildInfoRequest, GetEntitlementsRequest, GithubAuthMethod,
    ListAvailableExperimentsRequest, ListExperimentsRequest, ListExperimentsResponse, OidcAuthMethod,
};
use orgplane_proto::{BUILD_VERSION, PROTOCOL_VERSION};
use tonic::{Request, Response, Status};

use super::Api;

#[tonic::async_trait]
impl DeploymentService for Api {
    async fn get_build_info(&self, _: Request<GetBuildInfoRequest>) -> Result<Response<BuildInfo>, Status> {
        Ok(Response::new(BuildInfo {
            version: BUILD_VERSION.to_owned(),
            dashboard_url: self.0.url().to_owned(),
            provisioner_api_version: PROTOCOL_VERSION.to_owned(),
            deployment_id: self.0.deployment_id().to_string(),
            ..BuildInfo::default()
        }))
    }

    async fn get_entitlements(&self, _: Request<GetEntitlementsRequest>) -> Result<Response<Entitlements>, Status> {
        let feature = |(name, enabled): (&str, bool)| {
            let entitlement = if enabled { Entitlement::Entitled } else { Entitlement::NotEntitled };
            (name.to_owned(), Feature { entitlement: entitlement.into(), enabled })
        };
        let features = self.0.features().map(feature).collect();
        Ok(Response::new(Entitlements { features, ..Entitlements::default() }))
    }

    async fn list_experiments(
        &self,
        _: Request<ListExperimentsRequest>,
    ) -> Result<Response<ListExperimentsResponse>, Status> {
        Ok(Response::new(ListExperimentsResponse::default()))
    }

    async fn list_available_experiments(
        &self,
        _: Request<ListAvailableExperimentsRequest>,
    ) -> Result<Response<AvailableExperiments>, Status> {
        Ok(Response::new(AvailableExperiments::default()))
    }

    async fn get_auth_methods(&self, _: Request<GetAuthMethodsRequest>) -> Result<Response<AuthMethods>, Status> {
        Ok(Response::new(AuthMethods {
            password: Some(AuthMethod { enabled: true }),
            github: Some(GithubAuthMethod::default()),
            oidc: Some(OidcAuthMethod::default()),
        }))
    }
}

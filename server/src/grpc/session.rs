//! `SessionService`.

use orgplane_proto::common::v1 as common;
use orgplane_proto::identity::v1::session_service_server::SessionService;
use orgplane_proto::identity::v1::{LoginRequest, LoginResponse, LogoutRequest};
use tonic::{Request, Response, Status};

use super::convert::message;
use super::{Api, parts, status};

#[tonic::async_trait]
impl SessionService for Api {
    async fn login(&self, request: Request<LoginRequest>) -> Result<Response<LoginResponse>, Status> {
        let (caller, LoginRequest { email, password }) = parts(request)?;
        let session_token = self.0.login(&caller, &email, password.into()).await.map_err(status::of)?;
        Ok(Response::new(LoginResponse { session_token }))
    }

    async fn logout(&self, request: Request<LogoutRequest>) -> Result<Response<common::Response>, Status> {
        let (caller, LogoutRequest {}) = parts(request)?;
        self.0.logout(&caller).await.map_err(status::of)?;
        Ok(Response::new(message("Logged out.")))
    }
}

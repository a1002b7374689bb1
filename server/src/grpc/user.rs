//! `UserService`.

use orgplane_proto::common::v1 as common;
use orgplane_proto::identity::v1::user_service_server::UserService;
use orgplane_proto::identity::v1::{
    CreateFirstUserRequest, CreateFirstUserResponse, CreateUserRequest, GetFirstUserRequest, GetUserRequest, User,
};
use tonic::{Request, Response, Status};

use super::convert::{message, user as convert};
use super::{Api, parts, status};

#[tonic::async_trait]
impl UserService for Api {
    async fn get_first_user(
        &self,
        _request: Request<GetFirstUserRequest>,
    ) -> Result<Response<common::Response>, Status> {
        self.0.first_user_get().await.map_err(status::of)?;
        Ok(Response::new(message("The first user has been created.")))
    }

    async fn create_first_user(
        &self,
        request: Request<CreateFirstUserRequest>,
    ) -> Result<Response<CreateFirstUserResponse>, Status> {
        let (caller, m) = parts(request)?;
        let created = self.0.first_user_create(&caller, convert::new_first_user(m)).await;
        let (user_id, organization_id) = created.map_err(status::of)?;
        let reply =
            CreateFirstUserResponse { user_id: user_id.to_string(), organization_id: organization_id.to_string() };
        Ok(Response::new(reply))
    }

    async fn create_user(&self, request: Request<CreateUserRequest>) -> Result<Response<User>, Status> {
        let (caller, m) = parts(request)?;
        let new = convert::new_user(m).map_err(status::of)?;
        let profile = self.0.user_create(&caller, new).await.map_err(status::of)?;
        Ok(Response::new(convert::user(profile)))
    }

    async fn get_user(&self, request: Request<GetUserRequest>) -> Result<Response<User>, Status> {
        let (caller, m) = parts(request)?;
        let profile = self.0.user_get(&caller, &m.user).await.map_err(status::of)?;
        Ok(Response::new(convert::user(profile)))
    }
}

//! `UserService`.

use orgplane_proto::common::v1 as common;
use orgplane_proto::identity::v1::user_service_server::UserService;
use orgplane_proto::identity::v1::{
    ActivateUserRequest, CreateFirstUserRequest, CreateFirstUserResponse, CreateUserRequest, DeleteUserRequest,
    GetFirstUserRequest, GetUserLoginTypeRequest, GetUserLoginTypeResponse, GetUserRequest, GetUserRolesRequest,
    GetUserRolesResponse, ListSiteRolesRequest, ListSiteRolesResponse, ListUsersRequest, ListUsersResponse,
    SuspendUserRequest, UpdateUserPasswordRequest, UpdateUserProfileRequest, UpdateUserRolesRequest, User,
    ValidatePasswordRequest, ValidatePasswordResponse,
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

    async fn list_users(&self, request: Request<ListUsersRequest>) -> Result<Response<ListUsersResponse>, Status> {
        let (caller, m) = parts(request)?;
        let (users, count) = self.0.user_list(&caller, convert::search(m)).await.map_err(status::of)?;
        let users = users.into_iter().map(convert::user).collect();
        Ok(Response::new(ListUsersResponse { users, count: i32::try_from(count).unwrap_or(i32::MAX) }))
    }

    async fn delete_user(&self, request: Request<DeleteUserRequest>) -> Result<Response<common::Response>, Status> {
        let (caller, m) = parts(request)?;
        self.0.user_delete(&caller, &m.user).await.map_err(status::of)?;
        Ok(Response::new(message("The user has been deleted.")))
    }

    async fn update_user_profile(&self, request: Request<UpdateUserProfileRequest>) -> Result<Response<User>, Status> {
        let (caller, UpdateUserProfileRequest { user, username, name }) = parts(request)?;
        let profile = self.0.user_update(&caller, &user, &username, &name).await.map_err(status::of)?;
        Ok(Response::new(convert::user(profile)))
    }

    async fn suspend_user(&self, request: Request<SuspendUserRequest>) -> Result<Response<User>, Status> {
        let (caller, m) = parts(request)?;
        let profile = self.0.user_suspend(&caller, &m.user).await.map_err(status::of)?;
        Ok(Response::new(convert::user(profile)))
    }

    async fn activate_user(&self, request: Request<ActivateUserRequest>) -> Result<Response<User>, Status> {
        let (caller, m) = parts(request)?;
        let profile = self.0.user_activate(&caller, &m.user).await.map_err(status::of)?;
        Ok(Response::new(convert::user(profile)))
    }

    async fn update_user_password(
        &self,
        request: Request<UpdateUserPasswordRequest>,
    ) -> Result<Response<common::Empty>, Status> {
        let (caller, UpdateUserPasswordRequest { user, old_password, password }) = parts(request)?;
        let set = self.0.user_set_password(&caller, &user, old_password.into(), password.into()).await;
        set.map_err(status::of)?;
        Ok(Response::new(common::Empty {}))
    }

    async fn validate_password(
        &self,
        request: Request<ValidatePasswordRequest>,
    ) -> Result<Response<ValidatePasswordResponse>, Status> {
        let (_, ValidatePasswordRequest { password }) = parts(request)?;
        let checked = self.0.password_check(&password.into());
        let details = checked.err().unwrap_or_default().to_owned();
        Ok(Response::new(ValidatePasswordResponse { valid: checked.is_ok(), details }))
    }

    async fn list_site_roles(
        &self,
        request: Request<ListSiteRolesRequest>,
    ) -> Result<Response<ListSiteRolesResponse>, Status> {
        let (caller, ListSiteRolesRequest {}) = parts(request)?;
        let roles = self.0.site_role_list(&caller).map_err(status::of)?;
        Ok(Response::new(ListSiteRolesResponse { roles: roles.into_iter().map(convert::offered_role).collect() }))
    }

    async fn get_user_roles(
        &self,
        request: Request<GetUserRolesRequest>,
    ) -> Result<Response<GetUserRolesResponse>, Status> {
        let (caller, m) = parts(request)?;
        let roles = self.0.user_roles(&caller, &m.user).await.map_err(status::of)?;
        Ok(Response::new(convert::user_roles(roles)))
    }

    async fn update_user_roles(&self, request: Request<UpdateUserRolesRequest>) -> Result<Response<User>, Status> {
        let (caller, m) = parts(request)?;
        let profile = self.0.user_set_roles(&caller, &m.user, &m.roles).await.map_err(status::of)?;
        Ok(Response::new(convert::user(profile)))
    }

    async fn get_user_login_type(
        &self,
        request: Request<GetUserLoginTypeRequest>,
    ) -> Result<Response<GetUserLoginTypeResponse>, Status> {
        let (caller, m) = parts(request)?;
        let login_type = self.0.user_login_type(&caller, &m.user).await.map_err(status::of)?;
        let login_type = convert::from_login_type(login_type).into();
        Ok(Response::new(GetUserLoginTypeResponse { login_type }))
    }
}

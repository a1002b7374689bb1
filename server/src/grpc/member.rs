//! `MemberService`.

use orgplane_proto::common::v1::Empty;
use orgplane_proto::organization::v1::member_service_server::MemberService;
use orgplane_proto::organization::v1::{
    AddMemberRequest, GetMemberRequest, ListMembersRequest, ListMembersResponse, OrganizationMember,
    OrganizationMemberWithUserData, RemoveMemberRequest, SearchMembersRequest, SearchMembersResponse,
    UpdateMemberRolesRequest,
};
use tonic::{Request, Response, Status};

use super::convert::member as convert;
use super::{Api, parts, status};

#[tonic::async_trait]
impl MemberService for Api {
    async fn list_members(
        &self,
        request: Request<ListMembersRequest>,
    ) -> Result<Response<ListMembersResponse>, Status> {
        let (caller, m) = parts(request)?;
        let views = self.0.member_list(&caller, &m.organization, &m.q).await.map_err(status::of)?;
        Ok(Response::new(ListMembersResponse { members: views.into_iter().map(convert::with_user).collect() }))
    }

    async fn search_members(
        &self,
        request: Request<SearchMembersRequest>,
    ) -> Result<Response<SearchMembersResponse>, Status> {
        let (caller, m) = parts(request)?;
        let (organization, search) = convert::search(m);
        let (views, count) = self.0.member_search(&caller, &organization, search).await.map_err(status::of)?;
        Ok(Response::new(SearchMembersResponse {
            members: views.into_iter().map(convert::with_user).collect(),
            count: i64::try_from(count).unwrap_or(i64::MAX),
        }))
    }

    async fn get_member(
        &self,
        request: Request<GetMemberRequest>,
    ) -> Result<Response<OrganizationMemberWithUserData>, Status> {
        let (caller, m) = parts(request)?;
        let view = self.0.member_get(&caller, &m.organization, &m.user).await.map_err(status::of)?;
        Ok(Response::new(convert::with_user(view)))
    }

    async fn add_member(&self, request: Request<AddMemberRequest>) -> Result<Response<OrganizationMember>, Status> {
        let (caller, m) = parts(request)?;
        let row = self.0.member_add(&caller, &m.organization, &m.user).await.map_err(status::of)?;
        Ok(Response::new(convert::member(&row, Vec::new())))
    }

    async fn remove_member(&self, request: Request<RemoveMemberRequest>) -> Result<Response<Empty>, Status> {
        let (caller, m) = parts(request)?;
        self.0.member_remove(&caller, &m.organization, &m.user).await.map_err(status::of)?;
        Ok(Response::new(Empty {}))
    }

    async fn update_member_roles(
        &self,
        request: Request<UpdateMemberRolesRequest>,
    ) -> Result<Response<OrganizationMember>, Status> {
        let (caller, m) = parts(request)?;
        let updated = self.0.member_roles_update(&caller, &m.organization, &m.user, &m.roles).await;
        let (row, roles) = updated.map_err(status::of)?;
        Ok(Response::new(convert::member(&row, roles)))
    }
}

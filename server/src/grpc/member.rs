//! `MemberService`.

use orgplane_proto::organization::v1::member_service_server::MemberService;
use orgplane_proto::organization::v1::{AddMemberRequest, OrganizationMember};
use tonic::{Request, Response, Status};

use super::convert::organization as convert;
use super::{Api, parts, status};

#[tonic::async_trait]
impl MemberService for Api {
    async fn add_member(&self, request: Request<AddMemberRequest>) -> Result<Response<OrganizationMember>, Status> {
        let (caller, m) = parts(request)?;
        let row = self.0.member_add(&caller, &m.organization, &m.user).await.map_err(status::of)?;
        Ok(Response::new(convert::new_member(&row)))
    }
}

//! `orgplane organizations members`.

use anyhow::{Context as _, Result};
use orgplane_proto::identity::v1::{SlimRole, UserStatus};
use orgplane_proto::json::JsonEnum as _;
use orgplane_proto::organization::v1::{
    AddMemberRequest, OrganizationMemberWithUserData, RemoveMemberRequest, SearchMembersRequest,
    UpdateMemberRolesRequest,
};

use crate::args::{EditMemberRoles, ListMembers, Member, MemberColumn as Column};
use crate::client::{Client, PAGE};
use crate::error::not_found;
use crate::output::{self, Format, progress};

pub(crate) async fn list(args: ListMembers) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let organization = client.organization(&args.organization).await?.id;
    let mut members: Vec<OrganizationMemberWithUserData> = Vec::new();
    loop {
        let request = SearchMembersRequest {
            organization: organization.clone(),
            q: args.search.clone(),
            limit: PAGE,
            offset: 0,
            after_id: members.last().map(|member| member.user_id.clone()).unwrap_or_default(),
        };
        let page = client.members().search_members(request).await.context("can't list members")?.into_inner().members;
        if page.is_empty() {
            break;
        }
        members.extend(page);
    }
    output::list(args.output.output, &members, &args.columns, cell, "The organization has no such members.")
}

fn cell(member: &OrganizationMemberWithUserData, column: &Column) -> String {
    match column {
        Column::Username => member.username.clone(),
        Column::Name => member.name.clone(),
        Column::UserId => member.user_id.clone(),
        Column::OrganizationId => member.organization_id.clone(),
        Column::CreatedAt => output::time(member.created_at.as_ref()),
        Column::UpdatedAt => output::time(member.updated_at.as_ref()),
        Column::OrganizationRoles => names(&member.roles),
        Column::GlobalRoles => names(&member.global_roles),
        Column::Email => member.email.clone(),
        Column::Status => UserStatus::text_of(member.status).to_owned(),
    }
}

/// Roles as people read them.
fn names(roles: &[SlimRole]) -> String {
    let name = |role: &SlimRole| if role.display_name.is_empty() { &role.name } else { &role.display_name }.clone();
    roles.iter().map(name).collect::<Vec<_>>().join(", ")
}

pub(crate) async fn add(args: Member) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let organization = client.organization(&args.organization).await?;
    let (user, of) = (args.user, organization.name);
    let request = AddMemberRequest { organization: organization.id, user: user.clone() };
    let added = client.members().add_member(request).await;
    let added = added.map_err(|status| not_found(status, || format!("check the name: there is no user {user:?}")))?;
    if args.output.output == Format::Json {
        return output::json(added.get_ref());
    }
    progress(&format!("{user} is a member of {of} now."));
    Ok(())
}

pub(crate) async fn remove(args: Member) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let organization = client.organization(&args.organization).await?;
    let (user, of) = (args.user, organization.name);
    let request = RemoveMemberRequest { organization: organization.id, user: user.clone() };
    let removed = client.members().remove_member(request).await;
    removed.map_err(|status| not_found(status, || no_member(&user, &of)))?;
    progress(&format!("{user} is no member of {of} any more."));
    Ok(())
}

pub(crate) async fn edit_roles(args: EditMemberRoles) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let organization = client.organization(&args.organization).await?;
    let (user, of) = (args.user, organization.name);
    let request = UpdateMemberRolesRequest { organization: organization.id, user: user.clone(), roles: args.roles };
    let member = client.members().update_member_roles(request).await;
    let member = member.map_err(|status| not_found(status, || no_member(&user, &of)))?.into_inner();
    if args.output.output == Format::Json {
        return output::json(&member);
    }
    let roles = if member.roles.is_empty() { "no roles".to_owned() } else { names(&member.roles) };
    progress(&format!("{user} has these roles in {of} now: {roles}."));
    Ok(())
}

fn no_member(user: &str, of: &str) -> String {
    format!(
        "check the name: there is no member {user:?} in {of} whom you may change; `orgplane organizations members list \
         --org {of}` shows them"
    )
}

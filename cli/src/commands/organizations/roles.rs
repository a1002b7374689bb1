//! `orgplane organizations roles`.

use anyhow::{Context as _, Result};
use orgplane_proto::organization::v1::{
    AssignableRole, CustomRoleRequest, DeleteCustomRoleRequest, ListOrganizationRolesRequest, Organization, Permission,
    Role,
};

use crate::args::{CreateRole, DeleteRole, Output, RoleColumn as Column, ShowRoles, UpdateRole};
use crate::client::Client;
use crate::error::{Usage, not_found};
use crate::output::{self, Format, progress};
use crate::terminal;

pub(crate) async fn show(args: ShowRoles) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let organization = client.organization(&args.organization).await?;
    let mut roles = list(&client, &organization).await?;
    if !args.names.is_empty() {
        let named = |role: &AssignableRole, name: &String| role.name.eq_ignore_ascii_case(name);
        if let Some(name) = args.names.iter().find(|name| !roles.iter().any(|role| named(role, name))) {
            anyhow::bail!(no_role(name, &organization.name));
        }
        roles.retain(|role| args.names.iter().any(|name| named(role, name)));
    }
    let is_whole = !args.names.is_empty();
    let cell = |role: &AssignableRole, column: &Column| cell(role, *column, is_whole);
    output::list(args.output.output, &roles, &args.columns, cell, "The organization has no roles.")
}

async fn list(client: &Client, organization: &Organization) -> Result<Vec<AssignableRole>> {
    let request = ListOrganizationRolesRequest { organization: organization.id.clone() };
    let roles = client.roles().list_organization_roles(request).await;
    Ok(roles.context("can't list the roles")?.into_inner().roles)
}

fn cell(role: &AssignableRole, column: Column, is_whole: bool) -> String {
    let flag = |is: bool| if is { "yes".to_owned() } else { String::new() };
    match column {
        Column::Name => role.name.clone(),
        Column::DisplayName => role.display_name.clone(),
        Column::OrganizationId => role.organization_id.clone(),
        Column::OrganizationPermissions if is_whole => {
            let text =
                |p: &Permission| format!("{}{}:{}", if p.negate { "not " } else { "" }, p.resource_type, p.action);
            role.organization_permissions.iter().map(text).collect::<Vec<_>>().join(", ")
        }
        Column::OrganizationPermissions => format!("{} permissions", role.organization_permissions.len()),
        Column::BuiltIn => flag(role.built_in),
        Column::Assignable => flag(role.assignable),
    }
}

pub(crate) async fn create(args: CreateRole) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let organization = client.organization(&args.organization).await?;
    let request = match args.name {
        Some(name) => CustomRoleRequest {
            name,
            display_name: args.display_name,
            organization_permissions: permissions(args.permissions),
            ..CustomRoleRequest::default()
        },
        None => read().await?,
    };
    let request = CustomRoleRequest { organization: organization.id, ..request };
    let role = client.roles().create_custom_role(request).await.context("can't make the role")?.into_inner();
    tell(&args.output, &role, &format!("Made the role {} in {}.", role.name, organization.name))
}

pub(crate) async fn update(args: UpdateRole) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let organization = client.organization(&args.organization).await?;
    let request = match args.name {
        Some(name) => {
            let roles = list(&client, &organization).await?;
            let current = roles.into_iter().find(|role| !role.built_in && role.name.eq_ignore_ascii_case(&name));
            let current = current.with_context(|| no_role(&name, &organization.name))?;
            CustomRoleRequest {
                name: current.name,
                display_name: args.display_name.unwrap_or(current.display_name),
                organization_permissions: args.permissions.map_or(current.organization_permissions, permissions),
                ..CustomRoleRequest::default()
            }
        }
        None => read().await?,
    };
    let name = request.name.clone();
    let request = CustomRoleRequest { organization: organization.id, ..request };
    let role = client.roles().update_custom_role(request).await;
    let role = role.map_err(|status| not_found(status, || no_role(&name, &organization.name)))?.into_inner();
    tell(&args.output, &role, &format!("Changed the role {} in {}.", role.name, organization.name))
}

pub(crate) async fn delete(args: DeleteRole) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let organization = client.organization(&args.organization).await?;
    let name = args.name;
    let question = format!("Delete the role {name}? Whoever has it loses it.");
    terminal::agree(&args.yes, &question, "not deleted").await?;
    let request = DeleteCustomRoleRequest { organization: organization.id, role_name: name.clone() };
    let deleted = client.roles().delete_custom_role(request).await;
    deleted.map_err(|status| not_found(status, || no_role(&name, &organization.name)))?;
    progress(&format!("Deleted the role {name}."));
    Ok(())
}

fn permissions(pairs: Vec<(String, String)>) -> Vec<Permission> {
    let permission = |(resource_type, action)| Permission { negate: false, resource_type, action };
    pairs.into_iter().map(permission).collect()
}

/// A role as its JSON on stdin says.
async fn read() -> Result<CustomRoleRequest> {
    let text = terminal::read_all().await?;
    let role = serde_json::from_str(&text);
    role.map_err(|error| Usage::new(format!("--stdin: this isn't the JSON of a role: {error}")).into())
}

fn tell(output: &Output, role: &Role, sentence: &str) -> Result<()> {
    match output.output {
        Format::Json => output::json(role),
        Format::Table => {
            progress(sentence);
            Ok(())
        }
    }
}

fn no_role(name: &str, of: &str) -> String {
    format!(
        "check the name: there is no such role {name:?} in {of}; `orgplane organizations roles show --org {of}` shows them"
    )
}

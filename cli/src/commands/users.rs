//! `orgplane users`.

use anyhow::{Context as _, Result};
use orgplane_proto::identity::v1::{
    ActivateUserRequest, CreateUserRequest, DeleteUserRequest, GetUserRequest, ListUsersRequest, LoginType,
    SuspendUserRequest, UpdateUserRolesRequest, User, UserStatus,
};
use orgplane_proto::json::{JsonEnum as _, NIL_UUID};
use orgplane_proto::organization::v1::ListUserOrganizationsRequest;
use rand::distr::{Alphanumeric, SampleString as _};
use tonic::Status;

use super::login::password_from;
use crate::args::{
    CreateUser, DeleteUser, EditRoles, ListUsers, LoginWay, SetUserStatus, ShowUser, UserColumn as Column,
};
use crate::client::{Client, PAGE};
use crate::error::not_found;
use crate::output::{self, Format, progress};
use crate::terminal;

/// Characters of a password that is made up.
const GENERATED: usize = 24;

pub(crate) async fn create(args: CreateUser) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let organization = match args.organization.named() {
        Some(named) => client.organization_named(&named).await?.id,
        None => NIL_UUID.to_owned(),
    };
    let password = password(&args).await?;
    let CreateUser { username, email, full_name, login_type, generate_password, roles, output, .. } = args;
    let login_type = match login_type {
        LoginWay::Password => LoginType::Password,
        LoginWay::None => LoginType::None,
    };
    let request = CreateUserRequest {
        email,
        username,
        name: full_name,
        password: password.clone(),
        login_type: login_type.into(),
        organization_ids: vec![organization],
        roles: given(roles),
        ..CreateUserRequest::default()
    };
    let user = client.users().create_user(request).await.context("can't create the user")?.into_inner();
    progress(&format!("Created the user {}.", user.username));
    if generate_password && login_type == LoginType::Password {
        progress(&format!("Their password, which isn't shown again: {password}"));
    }
    told(&user, output.output)
}

async fn password(args: &CreateUser) -> Result<String> {
    if args.login_type == LoginWay::None {
        return Ok(String::new());
    }
    if args.generate_password {
        return Ok(Alphanumeric.sample_string(&mut rand::rng(), GENERATED));
    }
    if let Some(path) = &args.password_file {
        return password_from(path).await;
    }
    if terminal::is_interactive() {
        return terminal::ask_hidden("Their password".to_owned()).await;
    }
    let line = terminal::read_line().await;
    line.context("give the password with --password-file or on stdin, or add --generate-password")
}

pub(crate) async fn list(args: ListUsers) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let mut request = ListUsersRequest { q: args.search, after_id: String::new(), limit: PAGE, offset: 0 };
    let mut users = Vec::new();
    loop {
        let reply = client.users().list_users(request.clone()).await.context("can't list users")?.into_inner();
        let Some(last) = reply.users.last() else { break };
        request.after_id.clone_from(&last.id);
        users.extend(reply.users);
    }
    output::list(args.output.output, &users, &args.columns, cell, "No users that you may see.")
}

fn cell(user: &User, column: &Column) -> String {
    match column {
        Column::Username => user.username.clone(),
        Column::Email => user.email.clone(),
        Column::Status => UserStatus::text_of(user.status).to_owned(),
        Column::CreatedAt => output::time(user.created_at.as_ref()),
        Column::Id => user.id.clone(),
        Column::Name => user.name.clone(),
        Column::Roles => roles(user),
        Column::LoginType => LoginType::text_of(user.login_type).to_owned(),
        Column::LastSeenAt => output::time(user.last_seen_at.as_ref()),
    }
}

fn roles(user: &User) -> String {
    user.roles.iter().map(|role| role.name.as_str()).collect::<Vec<_>>().join(", ")
}

pub(crate) async fn show(args: ShowUser) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let user = client.users().get_user(GetUserRequest { user: args.user.clone() }).await;
    let user = user.map_err(|status| nobody(status, &args.user))?.into_inner();
    if args.output.output == Format::Json {
        return output::json(&user);
    }
    let request = ListUserOrganizationsRequest { user: user.id.clone() };
    let organizations = client.organizations().list_user_organizations(request).await;
    let organizations = organizations.context("can't list their organizations")?.into_inner().organizations;
    let names = organizations.into_iter().map(|organization| organization.name);
    output::record(&[
        ("Username", user.username.clone()),
        ("Email", user.email.clone()),
        ("Name", user.name.clone()),
        ("Id", user.id.clone()),
        ("Status", UserStatus::text_of(user.status).to_owned()),
        ("Login type", LoginType::text_of(user.login_type).to_owned()),
        ("Organizations", names.collect::<Vec<_>>().join(", ")),
        ("Roles", roles(&user)),
        ("Created at", output::time(user.created_at.as_ref())),
        ("Last seen at", output::time(user.last_seen_at.as_ref())),
    ])
}

pub(crate) async fn suspend(args: SetUserStatus) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let user = client.users().suspend_user(SuspendUserRequest { user: args.user.clone() }).await;
    let user = user.map_err(|status| nobody(status, &args.user)).context("can't suspend the user")?.into_inner();
    progress(&format!("Suspended the user {}.", user.username));
    told(&user, args.output.output)
}

pub(crate) async fn activate(args: SetUserStatus) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let user = client.users().activate_user(ActivateUserRequest { user: args.user.clone() }).await;
    let user = user.map_err(|status| nobody(status, &args.user)).context("can't activate the user")?.into_inner();
    progress(&format!("Activated the user {}.", user.username));
    told(&user, args.output.output)
}

pub(crate) async fn delete(args: DeleteUser) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let user = client.users().get_user(GetUserRequest { user: args.user.clone() }).await;
    let User { id, username, email, .. } = user.map_err(|status| nobody(status, &args.user))?.into_inner();
    terminal::agree(&args.yes, &format!("Delete the user {username} ({email})?"), "not deleted").await?;
    client.users().delete_user(DeleteUserRequest { user: id }).await.context("can't delete the user")?;
    progress(&format!("Deleted the user {username}."));
    Ok(())
}

pub(crate) async fn edit_roles(args: EditRoles) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let request = UpdateUserRolesRequest { user: args.user.clone(), roles: given(args.roles) };
    let user = client.users().update_user_roles(request).await;
    let user = user.map_err(|status| nobody(status, &args.user)).context("can't set the roles")?.into_inner();
    let roles = Some(roles(&user)).filter(|roles| !roles.is_empty());
    progress(&format!("Roles of {}: {}.", user.username, roles.as_deref().unwrap_or("none")));
    told(&user, args.output.output)
}

/// Without the empty name that stands for none.
fn given(roles: Vec<String>) -> Vec<String> {
    roles.into_iter().map(|role| role.trim().to_owned()).filter(|role| !role.is_empty()).collect()
}

fn told(user: &User, format: Format) -> Result<()> {
    match format {
        Format::Json => output::json(user),
        Format::Table => output::line(&user.id),
    }
}

fn nobody(status: Status, user: &str) -> anyhow::Error {
    not_found(status, || format!("there is no user {user:?} that you may see; `orgplane users list` shows them"))
}

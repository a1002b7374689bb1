//! `orgplane tokens`.

use anyhow::{Context as _, Result};
use orgplane_proto::identity::v1::{
    ApiKey, CreateTokenRequest, DeleteKeyRequest, ExpireKeyRequest, GetKeyRequest, GetTokenRequest, ListTokensRequest,
};
use tonic::Code;

use crate::args::{CreateToken, ListTokens, RemoveToken, TokenColumn as Column, ViewToken};
use crate::client::{Client, PAGE};
use crate::error::{Usage, not_found};
use crate::output::{self, Format};

const ME: &str = "me";

pub(crate) async fn create(args: CreateToken) -> Result<()> {
    let CreateToken { name, lifetime, scopes, user, connection, output } = args;
    let lifetime = lifetime.map(|lifetime| i64::try_from(lifetime.as_nanos())).transpose();
    let lifetime = lifetime.map_err(|_| Usage::new("--lifetime: is too long"))?;
    if lifetime == Some(0) {
        return Err(Usage::new("--lifetime: must be at least a second").into());
    }
    let client = Client::signed_in(&connection).await?;
    let request = CreateTokenRequest {
        user,
        lifetime: lifetime.unwrap_or_default(),
        scopes,
        token_name: name,
        ..CreateTokenRequest::default()
    };
    let created = client.keys().create_token(request).await.context("can't create the token")?.into_inner();
    match output.output {
        Format::Json => output::json(&created),
        Format::Table => output::line(&created.key),
    }
}

pub(crate) async fn list(args: ListTokens) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let mut tokens = Vec::new();
    loop {
        let request = ListTokensRequest {
            user: ME.to_owned(),
            include_all: args.all,
            include_expired: args.include_expired,
            limit: PAGE,
            offset: i32::try_from(tokens.len()).context("too many tokens to list")?,
        };
        let part = client.keys().list_tokens(request).await.context("can't list tokens")?.into_inner().tokens;
        let is_last = part.len() < usize::try_from(PAGE)?;
        tokens.extend(part);
        if is_last {
            break;
        }
    }
    let columns = if args.columns.is_empty() { Column::default_of(args.all) } else { args.columns };
    output::list(args.output.output, &tokens, &columns, cell, "No tokens found.")
}

fn cell(token: &ApiKey, column: &Column) -> String {
    match column {
        Column::Id => token.id.clone(),
        Column::Name => token.token_name.clone(),
        Column::Scopes => token.scopes.join(" "),
        // A new one says when it was made.
        Column::LastUsed if token.last_used == token.created_at => "never".to_owned(),
        Column::LastUsed => output::time(token.last_used.as_ref()),
        Column::ExpiresAt => output::time(token.expires_at.as_ref()),
        Column::CreatedAt => output::time(token.created_at.as_ref()),
        Column::Owner => token.username.clone(),
    }
}

pub(crate) async fn view(args: ViewToken) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let token = find(&client, &args.which).await?;
    match args.output.output {
        Format::Json => output::json(&token),
        Format::Table => output::record(&[
            ("Id", cell(&token, &Column::Id)),
            ("Name", cell(&token, &Column::Name)),
            ("Scopes", cell(&token, &Column::Scopes)),
            ("Last used", cell(&token, &Column::LastUsed)),
            ("Expires at", cell(&token, &Column::ExpiresAt)),
            ("Created at", cell(&token, &Column::CreatedAt)),
        ]),
    }
}

pub(crate) async fn remove(args: RemoveToken) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let ApiKey { id: key, user_id: user, .. } = find(&client, &args.which).await?;
    if args.delete {
        client.keys().delete_key(DeleteKeyRequest { user, key }).await.context("can't delete the token")?;
        output::progress("Token has been deleted.");
    } else {
        client.keys().expire_key(ExpireKeyRequest { user, key }).await.context("can't end the token")?;
        output::progress("Token has been expired.");
    }
    Ok(())
}

/// One's own token by its name, else by its id.
async fn find(client: &Client, named: &str) -> Result<ApiKey> {
    let (user, token_name) = (ME.to_owned(), named.to_owned());
    match client.keys().get_token(GetTokenRequest { user: user.clone(), token_name }).await {
        Ok(token) => return Ok(token.into_inner()),
        Err(status) if status.code() == Code::NotFound => {}
        Err(status) => return Err(status).context("can't look for the token"),
    }
    let found = client.keys().get_key(GetKeyRequest { user, key: named.to_owned() }).await;
    let sentence = || format!("check the name: you have no token {named:?}; `orgplane tokens list` shows them");
    Ok(found.map_err(|status| not_found(status, sentence))?.into_inner())
}

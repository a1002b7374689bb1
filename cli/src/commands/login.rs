//! `orgplane login`.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use orgplane_proto::deployment::v1::GetBuildInfoRequest;
use orgplane_proto::identity::v1::{CreateFirstUserRequest, GetFirstUserRequest, GetUserRequest, LoginRequest};
use tonic::Code;

use crate::args::Login;
use crate::client::Client;
use crate::error::Usage;
use crate::session::Session;
use crate::{environment, output, session, terminal};

pub(crate) async fn run(args: Login) -> Result<()> {
    let url = args.server.clone().or_else(|| args.connection.server());
    let url = url.ok_or_else(|| Usage::new("name the server: orgplane login <url>"))?;
    let url = url.trim_end_matches('/').to_owned();
    let client = Client::connect(&url, &args.connection, None).await?;
    let token = match session::given(&args.connection)? {
        Some(token) => token,
        None => ask_for_token(&client, &url, &args).await?,
    };
    let me = client.with_token(&token)?.users().get_user(GetUserRequest { user: "me".to_owned() }).await;
    let me = me.context("the server doesn't take the token")?.into_inner();
    let dir = session::store(&Session { url: url.clone(), token })?;
    output::progress(&format!("Signed in to {url} as {}; remembered in {}.", me.username, dir.display()));
    Ok(())
}

/// By a password, or at a terminal, when no email address is given, by what the server's page shows.
async fn ask_for_token(client: &Client, url: &str, args: &Login) -> Result<String> {
    let fresh = match client.users().get_first_user(GetFirstUserRequest {}).await {
        Ok(_) => false,
        Err(status) if status.code() == Code::NotFound => true,
        Err(status) => return Err(status).context("can't ask the server whether it has users"),
    };
    if fresh {
        let (email, password) = create_first_user(client, args).await?;
        return with_password(client, email, password).await;
    }
    match args.email.as_ref().or(args.first_user_email.as_ref()) {
        Some(email) => with_password(client, email.clone(), password(args, "Password").await?).await,
        None if terminal::is_interactive() => {
            output::progress(&format!(
                "Open {} in a browser; it shows a token to paste here.",
                page(client, url).await
            ));
            let token = terminal::ask_hidden("Token".to_owned()).await?;
            Some(token.trim().to_owned()).filter(|token| !token.is_empty()).ok_or_else(|| anyhow!("no token was given"))
        }
        None => {
            let page = page(client, url).await;
            let what =
                format!("give --email, or --token-file with a token from {page}: there is no terminal to ask at");
            Err(Usage::new(what).into())
        }
    }
}

/// The page that shows tokens: where people reach the server, which may be elsewhere than gRPC.
async fn page(client: &Client, url: &str) -> String {
    let told = client.deployment().get_build_info(GetBuildInfoRequest {}).await;
    let told = told.map(|info| info.into_inner().dashboard_url).unwrap_or_default();
    let base = if told.is_empty() { url } else { told.trim_end_matches('/') };
    crate::printable::printable_line(&format!("{base}/cli-auth"))
}

async fn with_password(client: &Client, email: String, password: String) -> Result<String> {
    let reply = client.sessions().login(LoginRequest { email, password }).await;
    Ok(reply.map_err(|status| anyhow!("can't sign in: {}", status.message()))?.into_inner().session_token)
}

async fn create_first_user(client: &Client, args: &Login) -> Result<(String, String)> {
    output::progress("The server has no users yet: creating the first one, its owner.");
    let username = given(args.first_user_username.as_ref(), "Username", "--first-user-username").await?;
    let email = given(args.first_user_email.as_ref().or(args.email.as_ref()), "Email", "--first-user-email").await?;
    let password = password(args, "New password").await?;
    let request = CreateFirstUserRequest {
        email: email.clone(),
        username,
        name: args.first_user_full_name.clone(),
        password: password.clone(),
    };
    client.users().create_first_user(request).await.context("can't create the first user")?;
    Ok((email, password))
}

/// A flag's value, else the answer of whoever sits at the terminal.
async fn given(value: Option<&String>, question: &str, flag: &str) -> Result<String> {
    match value {
        Some(value) => Ok(value.clone()),
        None if terminal::is_interactive() => terminal::ask(question.to_owned()).await,
        None => Err(Usage::new(format!("give {flag}: there is no terminal to ask at")).into()),
    }
}

async fn password(args: &Login, question: &str) -> Result<String> {
    if let Some(path) = &args.password_file {
        return password_from(path).await;
    }
    if let Some(password) = environment::first(environment::PASSWORD) {
        return Ok(password);
    }
    if terminal::is_interactive() {
        return terminal::ask_hidden(question.to_owned()).await;
    }
    terminal::read_line().await.context("give the password with --password-file, ORGPLANE_PASSWORD or on stdin")
}

/// The first line of a file, or of stdin for `-`.
pub(super) async fn password_from(path: &Path) -> Result<String> {
    if path.as_os_str() == "-" {
        return terminal::read_line().await;
    }
    let text = fs::read_to_string(path).with_context(|| format!("can't read the password from {}", path.display()))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

//! `orgplane logout`.

use anyhow::{Context as _, Result};
use orgplane_proto::identity::v1::LogoutRequest;
use tonic::Code;

use crate::args::Logout;
use crate::client::{Client, Credentials};
use crate::output::progress;
use crate::session;

/// The remembered session, where it is the one to end, is forgotten whatever the server says.
pub(crate) async fn run(args: Logout) -> Result<()> {
    if session::load()?.is_none() && !session::is_given(&args.connection) {
        progress("You weren't signed in.");
        return Ok(());
    }
    let credentials = Credentials::find(&args.connection)?;
    let ended = end(&credentials, &args).await;
    if credentials.remembered {
        session::forget()?;
        ended.context("forgot the session, but the server didn't end it")?;
    } else {
        ended.context("the server didn't end the session")?;
    }
    progress("Signed out.");
    Ok(())
}

async fn end(credentials: &Credentials, args: &Logout) -> Result<()> {
    let client = Client::with(credentials, &args.connection).await?;
    match client.sessions().logout(LogoutRequest {}).await {
        // It ended before.
        Err(status) if status.code() == Code::Unauthenticated && credentials.remembered => Ok(()),
        answer => Ok(answer.map(|_| ())?),
    }
}

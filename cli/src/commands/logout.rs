//! `orgplane logout`.

use anyhow::Result;
use orgplane_proto::identity::v1::LogoutRequest;

use crate::args::Logout;
use crate::client::Client;
use crate::error::render;
use crate::output::progress;
use crate::session;

/// The session is forgotten whatever the server says; that it may live on there is said.
pub(crate) async fn run(args: Logout) -> Result<()> {
    let ended = match Client::signed_in(&args.connection).await {
        Ok(client) => client.sessions().logout(LogoutRequest {}).await.map(|_| ()).map_err(anyhow::Error::from),
        Err(error) => Err(error),
    };
    let forgotten = session::forget()?;
    match ended {
        Ok(()) => progress("Signed out."),
        Err(_) if !forgotten => progress("You weren't signed in."),
        Err(error) => progress(&format!("Forgot the session; the server didn't end it: {}", render(&error))),
    }
    Ok(())
}

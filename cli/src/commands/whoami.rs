//! `orgplane whoami`.

use anyhow::{Context as _, Result};
use orgplane_proto::identity::v1::GetUserRequest;

use crate::args::Whoami;
use crate::client::Client;
use crate::output::{self, Format};

pub(crate) async fn run(args: Whoami) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let me = client.users().get_user(GetUserRequest { user: "me".to_owned() }).await;
    let me = me.context("can't read your account")?.into_inner();
    if args.output.output == Format::Json {
        return output::json(&me);
    }
    let organizations = client.own_organizations().await?.into_iter().map(|organization| organization.name);
    let roles = me.roles.into_iter().map(|role| role.display_name);
    output::record(&[
        ("Server", client.url().to_owned()),
        ("Username", me.username),
        ("Email", me.email),
        ("Id", me.id),
        ("Organizations", organizations.collect::<Vec<_>>().join(", ")),
        ("Roles", roles.collect::<Vec<_>>().join(", ")),
    ])
}

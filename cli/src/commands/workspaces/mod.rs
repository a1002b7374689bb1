//! The commands for workspaces.

pub(crate) mod build;
pub(crate) mod create;
pub(crate) mod list;
pub(crate) mod logs;
mod plan;
pub(crate) mod show;

use anyhow::Result;
use orgplane_proto::workspace::v1::{GetWorkspaceByNameRequest, GetWorkspaceRequest, Workspace};

use crate::client::Client;
use crate::error::{Usage, not_found};

/// A live workspace, given as its name, `owner/name` or its id.
pub(crate) async fn find(client: &Client, given: &str) -> Result<Workspace> {
    let sentence = || {
        format!("check the name: there is no workspace {given:?} that you may see; `orgplane list --all` shows them")
    };
    let found = if is_uuid(given) {
        let request = GetWorkspaceRequest { workspace: given.to_owned(), include_deleted: false };
        client.workspaces().get_workspace(request).await
    } else {
        let (user, workspace_name) = owner_and_name(given)?;
        let request = GetWorkspaceByNameRequest { user, workspace_name, include_deleted: false };
        client.workspaces().get_workspace_by_name(request).await
    };
    Ok(found.map_err(|status| not_found(status, sentence))?.into_inner())
}

/// The owner, `me` unless named, and the name.
fn owner_and_name(given: &str) -> Result<(String, String)> {
    let (owner, name) = given.split_once('/').unwrap_or(("me", given));
    if owner.is_empty() || name.is_empty() || name.contains('/') {
        return Err(Usage::new(format!("name the workspace as `name` or `owner/name`, not {given:?}")).into());
    }
    Ok((owner.to_owned(), name.to_owned()))
}

fn is_uuid(text: &str) -> bool {
    let hyphens = [8, 13, 18, 23];
    text.len() == 36
        && text.bytes().enumerate().all(
            |(at, byte)| {
                if hyphens.contains(&at) { byte == b'-' } else { byte.is_ascii_hexdigit() }
            },
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workspaces_are_named_in_three_ways() {
        let pair = |owner: &str, name: &str| (owner.to_owned(), name.to_owned());
        assert_eq!(owner_and_name("dev").unwrap(), pair("me", "dev"));
        assert_eq!(owner_and_name("ada/dev").unwrap(), pair("ada", "dev"));
        for bad in ["", "/dev", "ada/", "a/b/c"] {
            assert!(owner_and_name(bad).unwrap_err().is::<Usage>(), "{bad}");
        }
        assert!(is_uuid("01995a3c-7d5e-7b1f-8a52-3f0c3a1e9b11"));
        assert!(!is_uuid("01995a3c7d5e7b1f8a523f0c3a1e9b11") && !is_uuid("x1995a3c-7d5e-7b1f-8a52-3f0c3a1e9b11"));
    }
}

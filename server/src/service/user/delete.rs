//! The end of accounts.

use std::collections::BTreeSet;

use super::{Profile, check_allowed, check_owner_remains, taken};
use crate::domain::audit::{AuditAction, AuditResource};
use crate::domain::permission::{Action, SiteRole};
use crate::domain::{Error, Result};
use crate::service::audit::Attempt;
use crate::service::{Caller, Service};
use crate::store;
use crate::store::entity::user_account;

impl Service {
    /// Deletes a user who owns no workspaces, with their sessions, memberships and roles. What they did names them still;
    /// their username and address can be used again at once.
    ///
    /// # Errors
    /// [`Error::NotFound`] or [`Error::Denied`] as the caller's permission has it, [`Error::OwnDeletion`] for the caller,
    /// [`Error::OwnsWorkspaces`], [`Error::LastOwner`].
    pub async fn user_delete(&self, caller: &Caller, user: &str) -> Result<()> {
        let mut attempt = self.attempt(caller, AuditAction::Delete, AuditResource::User);
        let result = self.user_delete_attempt(caller, user, &mut attempt).await;
        attempt.end(result).await
    }

    async fn user_delete_attempt(&self, caller: &Caller, user: &str, attempt: &mut Attempt<'_>) -> Result<()> {
        let subject = caller.user()?;
        attempt.named(user);
        let found = self.user_readable(caller, user).await?;
        attempt.about(found.id.0, &found.username);
        if found.id == subject.user_id {
            return Err(Error::OwnDeletion);
        }
        check_allowed(subject, Action::Delete, found.id)?;
        let tx = self.store.begin().await?;
        let current = taken(&tx, subject, found.id).await?;
        if current.roles.contains(&SiteRole::Owner) {
            check_owner_remains(&tx, found.id).await?;
        }
        match store::user::workspaces(&tx, found.id).await? {
            0 => {}
            workspaces => return Err(Error::OwnsWorkspaces(workspaces)),
        }
        let deleted = user_account::Model {
            deleted: true,
            password_hash: String::new(),
            updated_at: store::now(&tx).await?,
            ..current.user.clone()
        };
        let deleted = Profile { user: deleted, roles: BTreeSet::new(), organizations: Vec::new() };
        store::user::update(&tx, deleted.user.clone()).await?;
        store::session::delete_all(&tx, found.id).await?;
        store::member::remove_everywhere(&tx, found.id).await?;
        attempt.change(Some(&current), Some(&deleted)).commit(tx).await
    }
}

//! Whether users may come in.

use std::time::Duration;

use super::{Profile, check_allowed, taken};
use crate::domain::audit::{AuditAction, AuditResource};
use crate::domain::permission::{Action, SiteRole};
use crate::domain::user::UserStatus;
use crate::domain::{Error, Result};
use crate::service::audit::Attempt;
use crate::service::{Caller, Service};
use crate::store;
use crate::store::entity::user_account;

/// Users that one transaction puts to rest.
const AT_ONCE: u64 = 200;

impl Service {
    /// Keeps a user out: their next call fails, and what they follow ends.
    ///
    /// # Errors
    /// [`Error::NotFound`] or [`Error::Denied`] as the caller's permission has it, [`Error::Invalid`] for the caller,
    /// [`Error::OwnerSuspension`] for owners.
    pub async fn user_suspend(&self, caller: &Caller, user: &str) -> Result<Profile> {
        self.user_set_status(caller, user, UserStatus::Suspended).await
    }

    /// Lets a user in again.
    ///
    /// # Errors
    /// [`Error::NotFound`] or [`Error::Denied`] as the caller's permission has it.
    pub async fn user_activate(&self, caller: &Caller, user: &str) -> Result<Profile> {
        self.user_set_status(caller, user, UserStatus::Active).await
    }

    async fn user_set_status(&self, caller: &Caller, user: &str, status: UserStatus) -> Result<Profile> {
        let mut attempt = self.attempt(caller, AuditAction::Write, AuditResource::User);
        let result = self.user_set_status_attempt(caller, user, status, &mut attempt).await;
        attempt.end(result).await
    }

    async fn user_set_status_attempt(
        &self,
        caller: &Caller,
        user: &str,
        status: UserStatus,
        attempt: &mut Attempt<'_>,
    ) -> Result<Profile> {
        let subject = caller.user()?;
        attempt.named(user);
        let found = self.user_readable(caller, user).await?;
        attempt.about(found.id.0, &found.username);
        check_allowed(subject, Action::Update, found.id)?;
        if status == UserStatus::Suspended && found.id == subject.user_id {
            return Err(Error::invalid("user", "must not be yourself"));
        }
        let tx = self.store.begin().await?;
        let current = taken(&tx, subject, found.id).await?;
        if status == UserStatus::Suspended && current.roles.contains(&SiteRole::Owner) {
            return Err(Error::OwnerSuspension);
        }
        let current = current.user;
        let updated = user_account::Model { status, updated_at: store::now(&tx).await?, ..current.clone() };
        store::user::update(&tx, updated.clone()).await?;
        attempt.change(Some(&current), Some(&updated)).commit(tx).await?;
        self.profile(subject, updated).await
    }

    /// Marks active users as dormant who weren't seen for so long. Their next call makes them active.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database can't be reached.
    pub async fn users_rest(&self, threshold: Duration) -> Result<()> {
        let caller = Caller::server();
        loop {
            let tx = self.store.begin().await?;
            let now = store::now(&tx).await?;
            let found = store::user::put_to_rest(&tx, now.minus(threshold), AT_ONCE, now).await?;
            let is_last = (found.len() as u64) < AT_ONCE;
            let attempts = found.iter().map(|user| {
                let mut attempt = self.attempt(&caller, AuditAction::Write, AuditResource::User);
                let dormant = user_account::Model { status: UserStatus::Dormant, ..user.clone() };
                attempt.about(user.id.0, &user.username).change(Some(user), Some(&dormant));
                attempt
            });
            Attempt::commit_all(attempts.collect(), tx).await?;
            if is_last {
                return Ok(());
            }
        }
    }
}

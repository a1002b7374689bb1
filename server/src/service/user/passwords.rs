//! Passwords of users.

use super::{check_allowed, taken};
use crate::domain::audit::{AuditAction, AuditResource};
use crate::domain::id::UserId;
use crate::domain::permission::{Action, Scope, Subject, may_take_over};
use crate::domain::rule::Rule;
use crate::domain::secret::Secret;
use crate::domain::user::LoginType;
use crate::domain::{Error, Result, password};
use crate::service::audit::Attempt;
use crate::service::{Caller, Service};
use crate::store::entity::user_account;
use crate::store::{self, Tx};

const MISMATCH: &str = "isn't the present password";

impl Service {
    /// Whether a password is good enough to be set.
    ///
    /// # Errors
    /// Why it isn't.
    pub fn password_check(&self, password: &Secret) -> Rule {
        password::check(password)
    }

    /// Sets a user's password, and ends all their sessions and tokens.
    ///
    /// # Errors
    /// [`Error::NotFound`] or [`Error::Denied`] as the caller's permission has it, [`Error::Invalid`] when a rule is
    /// broken or the old password isn't right.
    pub async fn user_set_password(&self, caller: &Caller, user: &str, old: Secret, new: Secret) -> Result<()> {
        let mut attempt = self.attempt(caller, AuditAction::Write, AuditResource::User);
        let result = self.user_set_password_attempt(caller, user, old, new, &mut attempt).await;
        attempt.end(result).await
    }

    async fn user_set_password_attempt(
        &self,
        caller: &Caller,
        user: &str,
        old: Secret,
        new: Secret,
        attempt: &mut Attempt<'_>,
    ) -> Result<()> {
        let subject = caller.user()?;
        attempt.named(user);
        let found = self.user_readable(caller, user).await?;
        attempt.about(found.id.0, &found.username);
        check_allowed(subject, Action::UpdatePersonal, found.id)?;
        if found.login_type != LoginType::Password {
            return Err(Error::invalid("password", "can't be set: the user doesn't sign in with one"));
        }
        if let Err(rule) = password::check(&new) {
            return Err(Error::invalid("password", rule));
        }
        let is_own = found.id == subject.user_id;
        if is_own && !self.passwords.verify(old, Some(found.password_hash.clone())).await? {
            return Err(Error::invalid("old_password", MISMATCH));
        }
        if !is_own {
            // Asked before the costly hashes, and again of the user as they are then.
            let tx = self.store.begin().await?;
            taken(&tx, subject, found.id).await?;
            check_take_over(&tx, subject, found.id).await?;
        }
        if self.passwords.verify(new.clone(), Some(found.password_hash.clone())).await? {
            return Err(Error::invalid("password", "must not be the present one"));
        }
        let password_hash = self.passwords.hash(new).await?;
        let tx = self.store.begin().await?;
        let current = taken(&tx, subject, found.id).await?.user;
        if !is_own {
            check_take_over(&tx, subject, found.id).await?;
        }
        if is_own && current.password_hash != found.password_hash {
            return Err(Error::invalid("old_password", MISMATCH));
        }
        let updated = user_account::Model { password_hash, updated_at: store::now(&tx).await?, ..current.clone() };
        store::user::update(&tx, updated.clone()).await?;
        store::session::delete_all(&tx, found.id).await?;
        attempt.change(Some(&current), Some(&updated)).commit(tx).await
    }
}

/// That the subject could give all that a user holds.
async fn check_take_over(tx: &Tx, subject: &Subject, user: UserId) -> Result<()> {
    let other = store::session::subject(tx, user, Scope::All).await?;
    if may_take_over(subject, &other) { Ok(()) } else { Err(Error::Denied) }
}

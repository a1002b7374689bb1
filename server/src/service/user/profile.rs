//! What users are called.

use super::{Profile, check_allowed, taken};
use crate::domain::audit::{AuditAction, AuditResource};
use crate::domain::permission::Action;
use crate::domain::rule::Violations;
use crate::domain::{Result, name};
use crate::service::audit::Attempt;
use crate::service::{Caller, Service};
use crate::store;
use crate::store::entity::user_account;

impl Service {
    /// Sets a user's username and real name.
    ///
    /// # Errors
    /// [`crate::domain::Error::NotFound`] or [`crate::domain::Error::Denied`] as the caller's permission has it, [`crate::domain::Error::Invalid`] when a rule is
    /// broken, [`crate::domain::Error::AlreadyExists`] when the username is taken.
    pub async fn user_update(&self, caller: &Caller, user: &str, username: &str, real_name: &str) -> Result<Profile> {
        let mut attempt = self.attempt(caller, AuditAction::Write, AuditResource::User);
        let result = self.user_update_attempt(caller, user, username, real_name, &mut attempt).await;
        attempt.end(result).await
    }

    async fn user_update_attempt(
        &self,
        caller: &Caller,
        user: &str,
        username: &str,
        real_name: &str,
        attempt: &mut Attempt<'_>,
    ) -> Result<Profile> {
        let subject = caller.user()?;
        attempt.named(user);
        let found = self.user_readable(caller, user).await?;
        attempt.about(found.id.0, &found.username);
        check_allowed(subject, Action::UpdatePersonal, found.id)?;
        let mut violations = Violations::default();
        violations.check("username", name::username(username));
        violations.check("name", name::real(real_name));
        violations.finish()?;
        let tx = self.store.begin().await?;
        let current = taken(&tx, subject, found.id).await?.user;
        // The name that others know somebody by isn't personal.
        if current.username != username {
            check_allowed(subject, Action::Update, found.id)?;
        }
        let updated = user_account::Model {
            username: username.to_owned(),
            name: real_name.to_owned(),
            updated_at: store::now(&tx).await?,
            ..current.clone()
        };
        store::user::update(&tx, updated.clone()).await?;
        attempt.change(Some(&current), Some(&updated)).commit(tx).await?;
        self.profile(subject, updated).await
    }
}

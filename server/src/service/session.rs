//! Signing in and out.

use super::api_key::{NewKey, key_insert};
use super::audit::Attempt;
use super::{Actor, Caller, Service};
use crate::domain::audit::{AuditAction, AuditResource};
use crate::domain::error::Credential;
use crate::domain::rule::Violations;
use crate::domain::secret::Secret;
use crate::domain::token::{self, MOST_OF_A_USER, SESSION_LIFETIME};
use crate::domain::user::{LoginType, UserStatus};
use crate::domain::{Error, Result, email};
use crate::store;

impl Service {
    /// Trades an address and a password for a session token. An unknown address, a user without a password and a wrong
    /// password are told alike and take as long.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when they aren't right or the user is suspended, [`Error::TooFast`] after several that
    /// weren't.
    pub async fn login(&self, caller: &Caller, email: &str, password: Secret) -> Result<String> {
        let mut violations = Violations::default();
        if email.is_empty() {
            violations.add("email", "must be set");
        }
        if password.is_empty() {
            violations.add("password", "must be set");
        }
        violations.finish()?;
        let mut attempt = self.attempt(caller, AuditAction::Login, AuditResource::ApiKey);
        let account = self.logins.account(caller, email);
        let result = match self.logins.wait(&account) {
            Some(wait) => Err(Error::TooFast { what: "failed sign-ins to this account", wait }),
            None => self.login_attempt(caller, email, password, &mut attempt).await,
        };
        match &result {
            Ok(_) => self.logins.succeeded(&account),
            Err(Error::Unauthenticated(Credential::Password)) => self.logins.failed(account),
            Err(_) => {}
        }
        attempt.end(result).await
    }

    async fn login_attempt(
        &self,
        caller: &Caller,
        email: &str,
        password: Secret,
        attempt: &mut Attempt<'_>,
    ) -> Result<String> {
        // Only what could be an address is looked for.
        let user = match email::check(email) {
            Ok(()) => store::user::find_by_email(&self.store, email).await?,
            Err(_) => None,
        };
        if let Some(user) = &user {
            attempt.by(user.id).named(&user.username);
        }
        let hash = user.as_ref().map(|user| user.password_hash.clone()).filter(|hash| !hash.is_empty());
        let right = self.passwords.verify(password, hash).await?;
        let user = user.filter(|_| right).ok_or(Error::Unauthenticated(Credential::Password))?;
        if user.status == UserStatus::Suspended {
            return Err(Error::Unauthenticated(Credential::Suspended));
        }
        let tx = self.store.begin().await?;
        // A password that was changed meanwhile has ended all sessions; this one would have been left out.
        match store::user::lock(&tx, user.id).await {
            Ok(now) if now.password_hash == user.password_hash => {}
            Ok(_) | Err(Error::NotFound(_)) => return Err(Error::Unauthenticated(Credential::Password)),
            Err(error) => return Err(error),
        }
        let now = store::now(&tx).await?;
        if store::api_key::make_room(&tx, user.id, now, "").await? >= MOST_OF_A_USER {
            store::api_key::delete_stalest_session(&tx, user.id).await?;
        }
        let new = NewKey {
            user: user.id,
            login_type: LoginType::Password,
            name: "",
            scope: token::ALL,
            lifetime: SESSION_LIFETIME,
        };
        let (token, _) = key_insert(&tx, caller, new, now).await?;
        attempt.commit(tx).await?;
        Ok(token.reveal())
    }

    /// Ends the session that the call was made with.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when it was made with none.
    pub async fn logout(&self, caller: &Caller) -> Result<()> {
        let Actor::User { api_key_id, .. } = &caller.actor else {
            return Err(Error::Unauthenticated(Credential::Missing));
        };
        let mut attempt = self.attempt(caller, AuditAction::Logout, AuditResource::ApiKey);
        let result = self.logout_attempt(api_key_id, &mut attempt).await;
        attempt.end(result).await
    }

    async fn logout_attempt(&self, api_key_id: &str, attempt: &mut Attempt<'_>) -> Result<()> {
        let tx = self.store.begin().await?;
        store::session::delete(&tx, api_key_id).await?;
        attempt.commit(tx).await
    }
}

#[cfg(test)]
mod tests;

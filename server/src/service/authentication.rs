//! Tokens and keys become actors here, and nowhere else.

use std::time::Duration;

use super::{Actor, Caller, KeyIdentity, Service};
use crate::domain::error::Credential;
use crate::domain::provisioner_key::ProvisionerKey;
use crate::domain::token::{TOUCH_INTERVAL, Token, renewed};
use crate::domain::user::UserStatus;
use crate::domain::{Error, Result};
use crate::store;

/// How often a provisioner key's last use is written.
const KEY_TOUCH_INTERVAL: Duration = Duration::from_secs(60);

impl Service {
    /// The user whose session token this is, with what they hold. A dormant user is active from now on.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when the token is malformed, unknown or expired, or its user suspended.
    pub async fn session_authenticate(&self, token: &str) -> Result<Actor> {
        let token = Token::parse(token).ok_or(Error::Unauthenticated(Credential::Malformed))?;
        let session = store::session::find(&self.store, &token.id).await?;
        let session = session.filter(|session| token.matches(&session.secret_sha256));
        let session = session.ok_or(Error::Unauthenticated(Credential::Unknown))?;
        let now = session.now;
        check(&session)?;
        let expires_at = session.slides.then(|| renewed(session.expires_at, session.lifetime, now)).flatten();
        let stale = now.since(session.last_used_at) >= TOUCH_INTERVAL
            || session.last_seen_at.is_none_or(|seen| now.since(seen) >= TOUCH_INTERVAL);
        if stale || expires_at.is_some() || session.status == UserStatus::Dormant {
            let tx = self.store.begin().await?;
            let expires_at = expires_at.unwrap_or(session.expires_at);
            store::session::touch(&tx, &token.id, session.user_id, now, expires_at).await?;
            tx.commit().await?;
        }
        let subject = store::session::subject(&self.store, session.user_id, session.scope).await?;
        Ok(Actor::User { subject, api_key_id: token.id })
    }

    /// The same caller as they are now, for calls that last: their session may have ended, what they hold may have changed.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when the session has ended, or its user is suspended.
    pub async fn session_again(&self, caller: &Caller) -> Result<Caller> {
        let Actor::User { subject, api_key_id } = &caller.actor else {
            return Err(Error::Unauthenticated(Credential::Missing));
        };
        let session = store::session::find(&self.store, api_key_id).await?;
        let session = session.ok_or(Error::Unauthenticated(Credential::Unknown))?;
        check(&session)?;
        let subject = store::session::subject(&self.store, subject.user_id, session.scope).await?;
        Ok(Caller { actor: Actor::User { subject, api_key_id: api_key_id.clone() }, ..caller.clone() })
    }

    /// The provisioner key that this is, if it is good now.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when it is malformed, unknown, or revoked or expired.
    pub async fn provisioner_key_authenticate(&self, key: &str) -> Result<KeyIdentity> {
        let key = ProvisionerKey::parse(key).ok_or(Error::Unauthenticated(Credential::KeyMalformed))?;
        let secret = store::provisioner_key::find_secret(&self.store, &key.hash()).await?;
        let secret = secret.ok_or(Error::Unauthenticated(Credential::KeyUnknown))?;
        if secret.ended {
            return Err(Error::Unauthenticated(Credential::KeyRevoked));
        }
        if secret.last_used_at.is_none_or(|used| secret.now.since(used) >= KEY_TOUCH_INTERVAL) {
            let tx = self.store.begin().await?;
            store::provisioner_key::touch(&tx, secret.key_id, secret.now, KEY_TOUCH_INTERVAL).await?;
            tx.commit().await?;
        }
        Ok(KeyIdentity { key_id: secret.key_id, secret_id: secret.id, organization_id: secret.organization_id })
    }
}

/// Whether a session is good now.
fn check(session: &store::session::Session) -> Result<()> {
    if session.expires_at <= session.now {
        return Err(Error::Unauthenticated(Credential::Expired));
    }
    if session.status == UserStatus::Suspended {
        return Err(Error::Unauthenticated(Credential::Suspended));
    }
    Ok(())
}

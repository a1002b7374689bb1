//! On whose behalf a call is made.

use std::net::IpAddr;

use uuid::Uuid;

use crate::domain::error::Credential;
use crate::domain::id::{OrganizationId, ProvisionerKeyId, ProvisionerKeySecretId};
use crate::domain::permission::Subject;
use crate::domain::{Error, Result};

/// Who calls, from where, in which request. Made by the authentication layer and by nobody else.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who.
    pub actor: Actor,
    /// From where, as the transport tells it.
    pub address: Option<IpAddr>,
    /// With what, as it says itself; empty when it doesn't. At most [`USER_AGENT`] bytes.
    pub user_agent: String,
    /// Names the request in logs and answers.
    pub request_id: Uuid,
}

/// Bytes of what a client says that it is, of which the rest is cut off.
pub const USER_AGENT: usize = 256;

/// Who can call.
#[derive(Debug, Clone)]
pub enum Actor {
    /// Nobody that is known; public methods only.
    Anonymous,
    /// A user, by the session or token with this id.
    User {
        /// The user with what they hold.
        subject: Subject,
        /// The id, not the secret, of the key that authenticated the call.
        api_key_id: String,
    },
    /// A provisioner daemon, by its key.
    Daemon(KeyIdentity),
}

/// The provisioner key that a daemon authenticated with.
#[derive(Debug, Clone)]
pub struct KeyIdentity {
    /// The key.
    pub key_id: ProvisionerKeyId,
    /// Which of its secrets.
    pub secret_id: ProvisionerKeySecretId,
    /// The key's organization, which is the daemon's.
    pub organization_id: OrganizationId,
}

impl Caller {
    /// The server itself, for what it does without being called.
    pub(super) fn server() -> Self {
        Self { actor: Actor::Anonymous, address: None, user_agent: String::new(), request_id: Uuid::now_v7() }
    }

    /// The user.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when the call isn't a user's.
    pub fn user(&self) -> Result<&Subject> {
        match &self.actor {
            Actor::User { subject, .. } => Ok(subject),
            Actor::Anonymous | Actor::Daemon(_) => Err(Error::Unauthenticated(Credential::Missing)),
        }
    }

    /// The daemon's key.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when the call isn't a daemon's.
    pub fn daemon(&self) -> Result<&KeyIdentity> {
        match &self.actor {
            Actor::Daemon(key) => Ok(key),
            Actor::Anonymous | Actor::User { .. } => Err(Error::Unauthenticated(Credential::KeyMalformed)),
        }
    }
}

//! Keys of the daemons that this server runs itself. Nobody asks for these: whoever runs the server does.

use std::time::Duration;

use super::Service;
use crate::domain::id::ProvisionerKeySecretId;
use crate::domain::provisioner_key::{BUILT_IN, ProvisionerKey};
use crate::domain::{Error, Result};
use crate::store;
use crate::store::entity::provisioner_key_secret;

/// How long a key is good unless it is renewed: it can't outlive a server that dies by more.
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// The key of one run of one daemon.
#[derive(Debug)]
pub struct BuiltInKey {
    /// What the daemon shows; nowhere else.
    pub key: ProvisionerKey,
    /// What names it.
    pub secret: ProvisionerKeySecretId,
}

impl Service {
    /// Makes a key for one run of a built-in daemon, of the default organization and without tags.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database can't be reached.
    pub async fn built_in_key_create(&self) -> Result<BuiltInKey> {
        let key = ProvisionerKey::generate();
        let secret = ProvisionerKeySecretId::new();
        let tx = self.store.begin().await?;
        let organization = store::organization::find_default(&tx).await?;
        let organization = organization.ok_or_else(|| Error::internal("there is no default organization"))?;
        store::provisioner_key::ensure_built_in(&tx, organization.id).await?;
        store::provisioner_key::sweep_built_in(&tx).await?;
        let now = store::now(&tx).await?;
        let row = provisioner_key_secret::Model {
            id: secret,
            key_id: BUILT_IN.0,
            secret_sha256: key.hash(),
            expires_at: Some(now.plus(LIFETIME)),
            revoked_at: None,
            created_at: now,
        };
        store::provisioner_key::insert_secret(&tx, row).await?;
        tx.commit().await?;
        Ok(BuiltInKey { key, secret })
    }

    /// Lets a key live on; to be called several times a day.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database can't be reached.
    pub async fn built_in_key_renew(&self, secret: ProvisionerKeySecretId) -> Result<()> {
        let tx = self.store.begin().await?;
        let until = store::now(&tx).await?.plus(LIFETIME);
        store::provisioner_key::extend_secret(&tx, secret, until).await?;
        tx.commit().await
    }

    /// Ends a key, and with it the sessions that are open with it.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database can't be reached.
    pub async fn built_in_key_delete(&self, secret: ProvisionerKeySecretId) -> Result<()> {
        let tx = self.store.begin().await?;
        store::provisioner_key::delete_secret(&tx, secret).await?;
        tx.commit().await?;
        self.dispatcher.secret_ended(secret);
        Ok(())
    }
}

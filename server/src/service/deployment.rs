//! What the deployment says of itself, to anybody.

use uuid::Uuid;

use super::Service;
use crate::domain::entitlement::FEATURES;

impl Service {
    /// The same for all servers of the deployment, and for ever.
    #[must_use]
    pub fn deployment_id(&self) -> Uuid {
        self.store.deployment_id()
    }

    /// Where people reach it; empty where it isn't known.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.provisioners.server_url
    }

    /// The published names of features, and whether each can be relied on.
    pub fn features(&self) -> impl Iterator<Item = (&'static str, bool)> {
        FEATURES.iter().map(|(name, proof)| (*name, proof.is_some()))
    }
}

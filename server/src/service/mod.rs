//! What the control plane does: each method authorizes its caller, asks the domain, and owns its transaction. No message
//! types, no SQL. One file per area, each a block of [`Service`].

mod authentication;
mod caller;
mod resolve;

use std::sync::Arc;

use crate::dispatch::Dispatcher;
use crate::options::Provisioners;
use crate::store::Store;

pub use caller::{Actor, Caller, KeyIdentity};

/// Every operation of the control plane.
#[derive(Debug)]
pub struct Service {
    pub(crate) store: Store,
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) provisioners: Provisioners,
}

impl Service {
    /// Over a store and the dispatcher that hands out its jobs.
    #[must_use]
    pub fn new(store: Store, dispatcher: Arc<Dispatcher>, provisioners: Provisioners) -> Self {
        Self { store, dispatcher, provisioners }
    }

    /// Whether requests can be served: the database answers.
    ///
    /// # Errors
    /// [`crate::domain::Error::Unavailable`] when it doesn't.
    pub async fn ready(&self) -> crate::domain::Result<()> {
        self.store.ping().await
    }
}

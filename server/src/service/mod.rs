//! What the control plane does: each method authorizes its caller, asks the domain, and owns its transaction. No message
//! types, no SQL. One file per area, each a block of [`Service`].

mod api_key;
mod archive;
pub mod assignment;
mod audit;
pub mod audit_log;
mod authentication;
mod authorization;
pub mod built_in;
mod caller;
pub mod custom_role;
pub mod daemon_session;
mod deployment;
pub mod dry_run;
mod feed;
mod file;
mod follow;
mod job_bytes;
pub mod job_view;
mod logins;
pub mod member;
pub mod organization;
mod part;
mod password;
pub mod provisioner_daemon;
pub mod provisioner_job;
pub mod provisioner_key;
mod resolve;
mod session;
mod shares;
mod spool;
pub mod template;
pub mod template_version;
pub mod user;

#[cfg(test)]
pub(crate) mod testing;
pub mod workspace;
pub mod workspace_build;

use std::sync::Arc;

use crate::dispatch::Dispatcher;
use crate::dispatch::news::News;
use crate::options::{Policy, Provisioners};
use crate::store::Store;

use archive::Archives;
use file::Transfers;
use job_bytes::Uploads;
use logins::Logins;
use password::Passwords;
use shares::Shares;

pub use api_key::{NewToken, TokenQuery};
pub use authorization::Question;
pub use caller::{Actor, Caller, KeyIdentity, USER_AGENT};

/// Every operation of the control plane.
#[derive(Debug)]
pub struct Service {
    pub(crate) store: Store,
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) news: Arc<News>,
    pub(crate) provisioners: Provisioners,
    pub(crate) policy: Policy,
    logins: Logins,
    passwords: Passwords,
    uploads: Uploads,
    archives: Archives,
    transfers: Transfers,
    followers: Arc<Shares>,
}

impl Service {
    /// Over a store, the dispatcher that hands out its jobs, and what clients follow of them.
    #[must_use]
    pub fn new(store: Store, dispatcher: Arc<Dispatcher>, news: Arc<News>, provisioners: Provisioners) -> Self {
        Self {
            store,
            dispatcher,
            news,
            provisioners,
            policy: Policy::default(),
            logins: Logins::default(),
            passwords: Passwords::default(),
            uploads: Uploads::default(),
            archives: Archives::default(),
            transfers: Transfers::default(),
            followers: Shares::new("open streams", follow::EACH),
        }
    }

    /// The same under another policy.
    #[must_use]
    pub fn under(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// Whether requests can be served: the database answers.
    ///
    /// # Errors
    /// [`crate::domain::Error::Unavailable`] when it doesn't.
    pub async fn ready(&self) -> crate::domain::Result<()> {
        self.store.ping().await
    }
}

//! The one hook through which changes reach the audit log: a method that changes something makes an [`Attempt`], tells it
//! what it is about, and commits through it, so that the change and its entry are stored together. What failed is stored
//! by itself, as is what is left to the queue of jobs.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{Actor, Caller, Service};
use crate::domain::audit::{AuditAction, AuditResource, Audited, Difference, difference};
use crate::domain::error::{Error, Reason};
use crate::domain::id::{AuditId, OrganizationId, UserId};
use crate::domain::rule::is_hidden;
use crate::domain::{Result, Timestamp};
use crate::store::entity::audit_log;
use crate::store::{self, Store, Tx};

/// Characters of a name that nobody has checked.
const NAME: usize = 64;

/// A change that somebody asks for.
#[derive(Debug)]
#[must_use = "what isn't ended isn't in the log when it fails"]
pub(super) struct Attempt<'a> {
    store: &'a Store,
    caller: &'a Caller,
    action: AuditAction,
    resource: AuditResource,
    user: Option<UserId>,
    organization: Option<OrganizationId>,
    resource_id: Option<Uuid>,
    target: String,
    icon: String,
    diff: BTreeMap<&'static str, Difference>,
    additional: BTreeMap<&'static str, String>,
    is_stored: bool,
}

impl Service {
    /// The beginning of a change.
    pub(super) fn attempt<'a>(
        &'a self,
        caller: &'a Caller,
        action: AuditAction,
        resource: AuditResource,
    ) -> Attempt<'a> {
        let user = match &caller.actor {
            Actor::User { subject, .. } => Some(subject.user_id),
            Actor::Anonymous | Actor::Daemon(_) => None,
        };
        Attempt {
            store: &self.store,
            caller,
            action,
            resource,
            user,
            organization: None,
            resource_id: None,
            target: String::new(),
            icon: String::new(),
            diff: BTreeMap::new(),
            additional: BTreeMap::new(),
            is_stored: false,
        }
    }
}

impl Attempt<'_> {
    /// In which organization it is.
    pub(super) fn of(&mut self, organization: OrganizationId) -> &mut Self {
        self.organization = Some(organization);
        self
    }

    /// What is changed: its id, and what people call it.
    pub(super) fn about(&mut self, id: Uuid, name: &str) -> &mut Self {
        self.resource_id = Some(id);
        name.clone_into(&mut self.target);
        self
    }

    /// What people would call it, or what they name, before it is known which it is.
    pub(super) fn named(&mut self, name: &str) -> &mut Self {
        let shown = |c| if is_hidden(c) { '\u{fffd}' } else { c };
        self.target = name.chars().take(NAME).map(shown).collect();
        self
    }

    /// Its picture.
    pub(super) fn icon(&mut self, icon: &str) -> &mut Self {
        icon.clone_into(&mut self.icon);
        self
    }

    /// Who does it, where the call doesn't say: somebody signs in.
    pub(super) fn by(&mut self, user: UserId) -> &mut Self {
        self.user = Some(user);
        self
    }

    /// How it is changed: from nothing, or to nothing, or from one to the other.
    pub(super) fn change<T: Audited>(&mut self, before: Option<&T>, after: Option<&T>) -> &mut Self {
        let fields = |thing: Option<&T>| thing.map(Audited::fields).unwrap_or_default();
        self.diff = difference(&fields(before), &fields(after));
        self
    }

    /// What else is to be known. Never a secret.
    pub(super) fn also(&mut self, name: &'static str, value: impl ToString) -> &mut Self {
        self.additional.insert(name, value.to_string());
        self
    }

    /// Commits the change and its entry.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database can't be reached.
    pub(super) async fn commit(&mut self, tx: Tx) -> Result<()> {
        let now = store::now(&tx).await?;
        store::audit_log::insert(&tx, self.entry(now, None)?).await?;
        tx.commit().await?;
        self.is_stored = true;
        Ok(())
    }

    /// The result of the change. When it failed, or was committed without [`Self::commit`] because the job's queue has
    /// transactions of its own, that is stored first. A log that can't be written then is no reason to
    /// tell the caller something else than why it failed.
    pub(super) async fn end<T>(self, result: Result<T>) -> Result<T> {
        let reason = result.as_ref().err().map(Error::reason);
        // What the database couldn't take, it can't take now.
        if reason == Some(Reason::Unavailable) || self.is_stored {
            return result;
        }
        if let Err(error) = self.store_alone(reason).await {
            tracing::warn!(%error, request_id = %self.caller.request_id, "an entry of the audit log is lost");
        }
        result
    }

    async fn store_alone(&self, reason: Option<Reason>) -> Result<()> {
        let tx = self.store.begin().await?;
        let now = store::now(&tx).await?;
        store::audit_log::insert(&tx, self.entry(now, reason)?).await?;
        tx.commit().await
    }

    /// Commits several changes and their entries: for what the server does to many at once.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database can't be reached.
    pub(super) async fn commit_all(attempts: Vec<Self>, tx: Tx) -> Result<()> {
        let now = store::now(&tx).await?;
        let entries = attempts.iter().map(|attempt| attempt.entry(now, None)).collect::<Result<Vec<_>>>()?;
        store::audit_log::insert_all(&tx, entries).await?;
        tx.commit().await
    }

    fn entry(&self, time: Timestamp, reason: Option<Reason>) -> Result<audit_log::Model> {
        // What failed changed nothing.
        let none = BTreeMap::new();
        let diff = if reason.is_none() { &self.diff } else { &none };
        Ok(audit_log::Model {
            id: AuditId::new(),
            time,
            request_id: self.caller.request_id,
            user_id: self.user,
            organization_id: self.organization,
            ip: self.caller.address.map(|address| address.to_string()).unwrap_or_default(),
            user_agent: self.caller.user_agent.clone(),
            action: self.action.text().to_owned(),
            resource_type: self.resource.text().to_owned(),
            resource_id: self.resource_id,
            resource_target: self.target.clone(),
            resource_icon: self.icon.clone(),
            outcome: reason.map(Reason::text).unwrap_or_default().to_owned(),
            diff: serde_json::to_string(diff).map_err(Error::internal)?,
            additional_fields: serde_json::to_string(&self.additional).map_err(Error::internal)?,
        })
    }
}

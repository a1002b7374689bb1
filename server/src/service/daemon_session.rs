//! Daemons' sessions: registering.

use std::collections::{BTreeSet, HashSet};

use super::{KeyIdentity, Service};
use crate::dispatch::session::{Command, Identity, Outbox};
use crate::dispatch::{Dispatcher, SessionId};
use crate::domain::engine::Engine;
use crate::domain::error::{Credential, Kind, ProtocolFault, chain};
use crate::domain::id::{DaemonId, OrganizationId};
use crate::domain::job::{Grip, Hold, Resumed};
use crate::domain::rule::is_hidden;
use crate::domain::tags::Tags;
use crate::domain::{Error, Result, Timestamp};
use crate::store;
use crate::store::entity::provisioner_daemon::{self, Engines};
use crate::store::provisioner_daemon::Registration;

/// Characters of a daemon's texts.
const TEXT: usize = 128;
/// Characters of its name.
const NAME: usize = 64;
/// Jobs at a time.
const CAPACITY: u32 = 1000;
/// Jobs that it can bring along.
const HELD: usize = 2 * CAPACITY as usize;

/// What a daemon says of itself when it connects.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)]
pub struct Hello {
    pub instance: String,
    pub name: String,
    pub version: String,
    pub protocol_version: String,
    pub engines: Vec<String>,
    pub capacity: u32,
    pub held: Vec<Hold>,
    pub organization: String,
}

/// What it is told.
#[derive(Debug)]
pub struct Welcome {
    /// Its session.
    pub session: SessionId,
    /// The session's other side.
    pub outbox: Outbox,
    /// The daemon's id.
    pub daemon: DaemonId,
    /// When it registered.
    pub registered_at: Timestamp,
    /// Its organization.
    pub organization: OrganizationId,
    /// That organization's name.
    pub organization_name: String,
    /// Its tags.
    pub tags: Tags,
    /// The held jobs that it isn't done with.
    pub resumed: Vec<Resumed>,
    /// The others.
    pub lost: Vec<Hold>,
}

fn fault(field: &'static str, rule: impl Into<String>) -> Error {
    Error::Protocol(ProtocolFault::Field { field, rule: rule.into() })
}

fn check_text(field: &'static str, text: &str, limit: usize) -> Result<()> {
    if text.is_empty() || text.chars().count() > limit || text.chars().any(is_hidden) {
        return Err(fault(field, format!("must be 1 to {limit} characters without invisible ones")));
    }
    Ok(())
}

/// A session that isn't opened yet: whatever ends this before it is, ends the session too.
struct Opening<'a> {
    dispatcher: &'a Dispatcher,
    session: SessionId,
    opened: bool,
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        if !self.opened {
            self.dispatcher.detach(self.session);
        }
    }
}

impl Service {
    /// Opens a daemon's session. Nothing is written for one that breaks the protocol.
    ///
    /// # Errors
    /// [`Error::Protocol`], or [`Error::Unavailable`] when the database can't be reached.
    pub async fn daemon_connect(&self, key: &KeyIdentity, hello: Hello) -> Result<Welcome> {
        let engines = check(&hello)?;
        let found = store::organization::find(&self.store, key.organization_id).await?;
        let organization = found.ok_or(Error::NotFound(Kind::Organization))?;
        let expected = &hello.organization;
        let named = OrganizationId::parse(expected)
            .map_or_else(|| organization.name.to_lowercase() == expected.to_lowercase(), |id| organization.id == id);
        if !expected.is_empty() && !named {
            return Err(Error::Protocol(ProtocolFault::WrongOrganization(expected.clone())));
        }
        self.dispatcher.check_name(organization.id, &hello.name, &hello.instance)?;
        let (daemon, came_back) = self.register(key, &hello, Engines(engines.clone())).await?;
        let identity = Identity {
            daemon: daemon.id,
            organization: organization.id,
            key: key.key_id,
            secret: key.secret_id,
            name: hello.name,
            instance: hello.instance,
            engines,
            tags: daemon.tags.clone(),
            capacity: hello.capacity,
        };
        let (session, outbox) = self.dispatcher.attach(identity, hello.held.clone());
        let mut opening = Opening { dispatcher: &self.dispatcher, session, opened: false };
        // Until here nobody would have told this session that its key was revoked.
        if !store::provisioner_daemon::ended_secrets(&self.store, &[key.secret_id]).await?.is_empty() {
            return Err(Error::Unauthenticated(Credential::KeyRevoked));
        }
        // From here on nothing is given to the session before this one.
        if came_back {
            self.take_back_unseen(daemon.id, &hello.held).await?;
        }
        let resumed = self.dispatcher.queue().resume(organization.id, &hello.held).await?;
        let goes_on: HashSet<_> = resumed.iter().map(|job| &job.hold).collect();
        let lost: Vec<_> = hello.held.into_iter().filter(|hold| !goes_on.contains(hold)).collect();
        self.catch_up(session, &resumed);
        self.dispatcher.open(session, &lost);
        opening.opened = true;
        Ok(Welcome {
            session,
            outbox,
            daemon: daemon.id,
            registered_at: daemon.registered_at,
            organization: organization.id,
            organization_name: organization.name,
            tags: daemon.tags,
            resumed,
            lost,
        })
    }

    /// Stores a daemon that connects; whether it is one that was here before.
    async fn register(
        &self,
        key: &KeyIdentity,
        hello: &Hello,
        engines: Engines,
    ) -> Result<(provisioner_daemon::Model, bool)> {
        let unknown = || Error::Unauthenticated(Credential::KeyUnknown);
        let tx = self.store.begin().await?;
        let key_row = store::provisioner_key::find(&tx, key.key_id).await?.ok_or_else(unknown)?;
        let before = store::provisioner_daemon::instance_of(&tx, key.organization_id, &hello.name).await?;
        let registration = Registration {
            organization_id: key.organization_id,
            key_id: key.key_id,
            name: hello.name.clone(),
            instance_id: hello.instance.clone(),
            version: hello.version.clone(),
            protocol_version: hello.protocol_version.clone(),
            engines,
            tags: Tags::of_key(&key_row.tags.0),
            capacity: i32::try_from(hello.capacity).map_err(Error::internal)?,
        };
        match store::provisioner_daemon::upsert(&tx, registration, self.provisioners.contact_lost_after).await {
            Ok(daemon) => {
                tx.commit().await?;
                Ok((daemon, before.as_ref() == Some(&hello.instance)))
            }
            Err(error) => {
                drop(tx);
                // It fails as well when the key was deleted since it was read.
                let key_row = store::provisioner_key::find(&self.store, key.key_id).await?;
                Err(if key_row.is_some() { error } else { unknown() })
            }
        }
    }

    /// A daemon that comes back names all jobs that it has. What was given to it and isn't among them was lost on the way:
    /// it needn't wait for its lease to lapse.
    async fn take_back_unseen(&self, daemon: DaemonId, held: &[Hold]) -> Result<()> {
        for hold in store::job_queue::unpermitted_of(&self.store, daemon).await? {
            if !held.contains(&hold) {
                self.dispatcher.queue().missed(&hold).await?;
            }
        }
        Ok(())
    }

    /// A daemon's stream ended. One that has no jobs and said that it takes none is offline from now on; others may
    /// come back.
    pub async fn daemon_leave(&self, session: SessionId, registered_at: Timestamp) {
        if !self.dispatcher.has_left(session) {
            return;
        }
        let leave = async {
            let tx = self.store.begin().await?;
            store::provisioner_daemon::leave(&tx, session.daemon, registered_at).await?;
            tx.commit().await
        };
        let left: Result<()> = leave.await;
        if let Err(error) = left {
            tracing::warn!(daemon = %session.daemon, error = %chain(&error), "can't note that a daemon ended");
        }
    }

    /// Tells a daemon that came back what happened to its jobs meanwhile.
    fn catch_up(&self, session: SessionId, resumed: &[Resumed]) {
        for Resumed { hold, grip, .. } in resumed {
            match grip {
                Grip::Running => {}
                Grip::Canceling => self.dispatcher.remind(session, Command::Cancel(hold.clone())),
                Grip::Ended => self.dispatcher.settled(session, hold),
                Grip::Salvage => self.dispatcher.given_up(session, hold),
            }
        }
    }
}

fn check(hello: &Hello) -> Result<BTreeSet<Engine>> {
    check_version(&hello.protocol_version)?;
    check_text("instance_id", &hello.instance, TEXT)?;
    check_text("name", &hello.name, NAME)?;
    check_text("version", &hello.version, TEXT)?;
    if hello.capacity == 0 || hello.capacity > CAPACITY {
        return Err(fault("capacity", format!("must be 1 to {CAPACITY}")));
    }
    if hello.held.len() > HELD {
        return Err(fault("held", format!("must be at most {HELD} jobs")));
    }
    let engine = |name: &String| Engine::parse(name).ok_or_else(|| fault("engines", "must be `terraform` or `echo`"));
    let engines: BTreeSet<_> = hello.engines.iter().map(engine).collect::<Result<_>>()?;
    if engines.is_empty() { Err(fault("engines", "must name at least one engine")) } else { Ok(engines) }
}

/// Majors must be equal, the daemon's minor not newer.
fn check_version(daemon: &str) -> Result<()> {
    let parse = |version: &str| -> Option<(u32, u32)> {
        let (major, minor) = version.split_once('.')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    };
    let server = orgplane_proto::PROTOCOL_VERSION;
    match (parse(daemon), parse(server)) {
        (Some((major, minor)), Some((own, own_minor))) if major == own && minor <= own_minor => Ok(()),
        _ => {
            let daemon = daemon.chars().take(TEXT).filter(|c| !c.is_control()).collect();
            Err(Error::Protocol(ProtocolFault::Version { daemon, server }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn majors_are_equal_and_daemons_are_not_newer() {
        assert_eq!(orgplane_proto::PROTOCOL_VERSION, "1.0");
        assert!(check_version("1.0").is_ok());
        for bad in ["1.1", "0.9", "2.0", "", "1", "a.b", "1.0.0"] {
            assert!(check_version(bad).is_err(), "{bad}");
        }
    }
}

//! The accounts that engines run as, one job each at a time: so jobs that run at the same time can't read each other's
//! files and processes, nor the daemon's.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::EngineUser;

/// All of them, and which are free.
#[derive(Debug, Default)]
pub(crate) struct Users(Mutex<Vec<EngineUser>>);

/// One that a job has; free again when dropped.
#[derive(Debug)]
pub(crate) struct Lent {
    user: EngineUser,
    /// `None`: it isn't one of ours any more.
    of: Option<Arc<Users>>,
}

impl Users {
    pub(crate) fn new(users: &[EngineUser]) -> Arc<Self> {
        Arc::new(Self(Mutex::new(users.to_vec())))
    }

    /// A free one, if there is one.
    pub(crate) fn lend(self: &Arc<Self>) -> Option<Lent> {
        let user = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
        Some(Lent { user, of: Some(Arc::clone(self)) })
    }

    /// The one whose files a job's are already, since an earlier daemon.
    pub(crate) fn lend_again(of: Option<&Arc<Self>>, (uid, gid): (u32, u32)) -> Lent {
        let taken = of.and_then(|users| {
            let mut free = users.0.lock().unwrap_or_else(PoisonError::into_inner);
            let place = free.iter().position(|user| (user.uid, user.gid) == (uid, gid))?;
            Some(Lent { user: free.remove(place), of: Some(Arc::clone(users)) })
        });
        taken.unwrap_or_else(|| Lent { user: EngineUser { name: uid.to_string(), uid, gid, home: None }, of: None })
    }
}

impl std::ops::Deref for Lent {
    type Target = EngineUser;

    fn deref(&self) -> &EngineUser {
        &self.user
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // To the back, so that the next job gets the one whose cache is warm.
        if let Some(users) = &self.of {
            users.0.lock().unwrap_or_else(PoisonError::into_inner).push(self.user.clone());
        }
    }
}

impl EngineUser {
    /// What says to programs who they run as.
    pub(crate) fn environment(&self) -> BTreeMap<String, String> {
        let home = self.home.clone().unwrap_or_else(|| PathBuf::from("/"));
        let pairs = [
            ("HOME", home.to_string_lossy().into_owned()),
            ("USER", self.name.clone()),
            ("LOGNAME", self.name.clone()),
        ];
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

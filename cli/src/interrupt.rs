//! Ctrl-C in the commands of people. Caught once for the whole process; whoever waits for it last takes it: a job that
//! knows what to do with it, else it ends the command.

use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::error::Interrupted;

static PRESSED: Notify = Notify::const_new();
static LEFT: Mutex<String> = Mutex::new(String::new());

/// Runs a command until its end or until Ctrl-C that nobody else takes.
pub(crate) async fn ends<T>(command: impl Future<Output = Result<T>>) -> Result<T> {
    let mut interrupts = signal(SignalKind::interrupt()).context("can't catch signals")?;
    tokio::spawn(async move {
        while interrupts.recv().await.is_some() {
            PRESSED.notify_last();
        }
    });
    // It lives on until it is known what it leaves.
    tokio::pin!(command);
    tokio::select! {
        biased;
        () = pressed() => Err(Interrupted::new(LEFT.lock().unwrap_or_else(PoisonError::into_inner).clone()).into()),
        outcome = &mut command => outcome,
    }
}

/// The next Ctrl-C, once it is polled or enabled.
pub(crate) fn pressed() -> Notified<'static> {
    PRESSED.notified()
}

/// For as long as this lives, something goes on when Ctrl-C ends the command.
pub(crate) struct Leaves(());

impl Leaves {
    /// What is said then.
    pub(crate) fn behind(sentence: String) -> Self {
        *LEFT.lock().unwrap_or_else(PoisonError::into_inner) = sentence;
        Self(())
    }
}

impl Drop for Leaves {
    fn drop(&mut self) {
        LEFT.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

//! The signals that end a long-running command.

use anyhow::{Context as _, Result};
use tokio::signal::unix::{self, SignalKind, signal};

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Terminate,
    Interrupt,
}

/// SIGTERM, SIGINT and SIGHUP, caught from its creation on. The last one, of a terminal that is closed, counts as SIGTERM.
pub(crate) struct Stop {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    /// `None` under nohup, which wants the program to go on.
    hangup: Option<unix::Signal>,
}

impl Stop {
    pub(crate) fn catch() -> Result<Self> {
        let caught = |kind| signal(kind).context("can't catch signals");
        Ok(Self {
            terminate: caught(SignalKind::terminate())?,
            interrupt: caught(SignalKind::interrupt())?,
            hangup: (!hangup_is_ignored()).then(|| caught(SignalKind::hangup())).transpose()?,
        })
    }

    /// Waits for the next of them.
    pub(crate) async fn received(&mut self) -> Signal {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = hangup => Signal::Terminate,
        }
    }
}

/// Whether this process was started with SIGHUP ignored.
fn hangup_is_ignored() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores_hangup(&status))
}

/// Reads the mask of ignored signals, in which SIGHUP, number 1, is the lowest bit.
fn ignores_hangup(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::{Signal as Sent, raise};

    use super::*;

    #[tokio::test]
    async fn a_closed_terminal_ends_a_command_in_order() {
        if hangup_is_ignored() {
            return;
        }
        let mut stop = Stop::catch().unwrap();
        raise(Sent::SIGHUP).unwrap();
        assert_eq!(stop.received().await, Signal::Terminate);
    }

    #[test]
    fn nohup_is_seen() {
        assert!(ignores_hangup("Name:\tx\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000000\n"));
        assert!(!ignores_hangup("SigIgn:\t0000000000001000\nSigCgt:\t0000000000000001\n"));
        assert!(!ignores_hangup(""));
    }
}

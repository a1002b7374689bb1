//! What the server is to hear of a job besides its lines: each thing once per stream, until it is answered.

use orgplane_proto::provisioner::v1::daemon_message::Message;
use orgplane_proto::provisioner::v1::{Accepted, ApplyRequest, Checkpoint, Discovered, Rejected, Result as JobResult};

/// One thing to say.
#[derive(Debug)]
pub(super) struct Letter<T> {
    pub(super) content: Option<T>,
    pub(super) sent: bool,
}

impl<T: Clone> Letter<T> {
    const fn none() -> Self {
        Self { content: None, sent: false }
    }

    pub(super) fn put(&mut self, content: T) {
        *self = Self { content: Some(content), sent: false };
    }

    pub(super) fn drop(&mut self) {
        *self = Self::none();
    }

    fn unsent(&mut self) -> Option<T> {
        if self.sent {
            return None;
        }
        self.sent = self.content.is_some();
        self.content.clone()
    }
}

/// All that a job may have to say.
#[derive(Debug)]
pub(super) struct Mail {
    pub(super) accepted: Letter<Accepted>,
    pub(super) rejected: Letter<Rejected>,
    pub(super) discovered: Letter<Discovered>,
    pub(super) apply_request: Letter<ApplyRequest>,
    pub(super) checkpoint: Letter<Checkpoint>,
    pub(super) result: Letter<JobResult>,
    /// The server was asked for the permit, on this stream or an earlier one.
    pub(super) asked: bool,
}

impl Mail {
    pub(super) const fn new() -> Self {
        Self {
            accepted: Letter::none(),
            rejected: Letter::none(),
            discovered: Letter::none(),
            apply_request: Letter::none(),
            checkpoint: Letter::none(),
            result: Letter::none(),
            asked: false,
        }
    }

    /// The next to say, the most urgent first; `all_acked`: the server has every line.
    pub(super) fn next(&mut self, all_acked: bool) -> Option<Message> {
        if let Some(accepted) = self.accepted.unsent() {
            return Some(Message::Accepted(accepted));
        }
        if let Some(request) = self.apply_request.unsent() {
            self.asked = true;
            return Some(Message::ApplyRequest(request));
        }
        if let Some(discovered) = self.discovered.unsent() {
            return Some(Message::Discovered(discovered));
        }
        if let Some(checkpoint) = self.salvage() {
            return Some(checkpoint);
        }
        // Both end the job: the server takes no line after them.
        if !all_acked {
            return None;
        }
        let rejected = self.rejected.unsent().map(Message::Rejected);
        rejected.or_else(|| self.result.unsent().map(Message::Result))
    }

    /// The same of a job whose lease is gone: nothing but a state is taken.
    pub(super) fn salvage(&mut self) -> Option<Message> {
        self.checkpoint.unsent().map(Message::Checkpoint)
    }

    /// On a new stream what isn't answered is said again; the permit was `judged`, or not.
    pub(super) fn again(&mut self, judged: bool) {
        self.accepted.sent |= self.accepted.content.is_some();
        self.discovered.sent = false;
        self.apply_request.sent &= judged;
        self.checkpoint.sent = false;
        self.result.sent = false;
    }

    /// The server has the state of this serial.
    pub(super) fn stored(&mut self, serial: i64) {
        let stored = |c: &Checkpoint| c.state.as_ref().is_some_and(|state| state.serial <= serial);
        if self.checkpoint.content.as_ref().is_some_and(stored) {
            self.checkpoint.drop();
        }
    }
}

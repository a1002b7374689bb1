//! What a daemon sent, in order, with log lines that came on each other's heels taken as one: they are then stored in one
//! transaction instead of one each.

use futures_util::{FutureExt as _, Stream, StreamExt as _};
use orgplane_proto::limits::LOG_ENTRIES;
use orgplane_proto::provisioner::v1::DaemonMessage;
use orgplane_proto::provisioner::v1::daemon_message::Message;
use tonic::Status;

/// Lines that are taken as one; what more is there comes next.
const LINES: usize = 1000;

type Arrival = Option<Result<DaemonMessage, Status>>;

/// A daemon's messages.
#[derive(Debug)]
pub(super) struct Inbox<S> {
    messages: S,
    /// Looked at already, and not of the lines before it.
    next: Option<Arrival>,
}

impl<S: Stream<Item = Result<DaemonMessage, Status>> + Unpin> Inbox<S> {
    pub(super) fn new(messages: S) -> Self {
        Self { messages, next: None }
    }

    /// The next message; `None` at the end.
    pub(super) async fn message(&mut self) -> Arrival {
        let mut arrival = match self.next.take() {
            Some(arrival) => arrival,
            None => self.messages.next().await,
        };
        if let Some(Ok(DaemonMessage { message: Some(Message::Logs(logs)) })) = &mut arrival {
            while logs.entries.len() < LINES && !logs.overflowed {
                // Only what is here already: nobody waits for company.
                match self.messages.next().now_or_never() {
                    None => break,
                    Some(Some(Ok(DaemonMessage { message: Some(Message::Logs(more)) })))
                        if more.job_id == logs.job_id
                            && more.lease_id == logs.lease_id
                            && logs.entries.len() + more.entries.len() <= LOG_ENTRIES
                            && i64::try_from(logs.entries.len())
                                .is_ok_and(|count| logs.first_number.checked_add(count) == Some(more.first_number)) =>
                    {
                        logs.entries.extend(more.entries);
                        logs.overflowed = more.overflowed;
                    }
                    Some(other) => {
                        self.next = Some(other);
                        break;
                    }
                }
            }
        }
        arrival
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use orgplane_proto::provisioner::v1::{Draining, LogEntry, Logs};

    use super::*;

    fn logs(job: &str, first_number: i64, count: usize) -> DaemonMessage {
        let entries = vec![LogEntry::default(); count];
        let logs = Logs { job_id: job.to_owned(), first_number, entries, ..Logs::default() };
        DaemonMessage { message: Some(Message::Logs(logs)) }
    }

    /// What comes out: lines as job, first number and count; others as a dash.
    async fn read(messages: Vec<DaemonMessage>) -> Vec<String> {
        let mut inbox = Inbox::new(stream::iter(messages.into_iter().map(Ok)));
        let mut out = Vec::new();
        while let Some(message) = inbox.message().await {
            out.push(match message.unwrap().message {
                Some(Message::Logs(logs)) => format!("{} {}+{}", logs.job_id, logs.first_number, logs.entries.len()),
                _ => "-".to_owned(),
            });
        }
        out
    }

    #[tokio::test]
    async fn lines_that_follow_are_taken_together_and_nothing_else() {
        let other = DaemonMessage { message: Some(Message::Draining(Draining {})) };
        let sent = vec![logs("a", 1, 2), logs("a", 3, 1), logs("a", 5, 1), logs("b", 6, 1), other, logs("b", 7, 1)];
        assert_eq!(read(sent).await, ["a 1+3", "a 5+1", "b 6+1", "-", "b 7+1"]);
        assert_eq!(read(vec![logs("a", i64::MAX, 1), logs("a", i64::MIN, 1)]).await.len(), 2);
        let many = (0..3).map(|n| logs("a", 1 + n * 600, 600)).collect();
        assert_eq!(read(many).await, ["a 1+1200", "a 1201+600"]);
        let full = vec![logs("a", 1, 1), logs("a", 2, LOG_ENTRIES)];
        assert_eq!(read(full).await, ["a 1+1", "a 2+10000"], "each is within the limit");
    }
}

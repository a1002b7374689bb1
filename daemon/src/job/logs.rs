//! From what an engine says to numbered log lines: sensitive values masked, long lines split, the output cap applied.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use orgplane_proto::provisioner::v1::{LogEntry, LogLevel, LogSource};
use tokio::sync::{Notify, mpsc, oneshot};

use super::mask::Masker;
use super::spool::Spool;

/// A longer output is split into several lines of at most this many bytes.
const MAX_OUTPUT: usize = 16 * 1024;
/// Kept free below the cap for the notice.
const NOTICE_ROOM: u64 = 256;
/// Lines that may wait; a line may be long.
const QUEUE: usize = 64;

/// One line as an engine or the daemon says it.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) time: SystemTime,
    pub(crate) source: LogSource,
    pub(crate) level: LogLevel,
    pub(crate) stage: Cow<'static, str>,
    pub(crate) output: String,
}

/// Masks, splits and counts. Pure.
#[derive(Debug)]
struct Shaper {
    masker: Masker,
    used: u64,
    limit: u64,
    overflowed: bool,
    /// Lines that an earlier daemon said of the job, and how often: they aren't said again.
    said: HashMap<Said, u32>,
}

/// What makes a line the same when a job's steps are gone through again.
type Said = (i32, i32, String, String);

fn said(entry: &LogEntry) -> Said {
    (entry.source, entry.level, entry.stage.clone(), entry.output.clone())
}

/// The line breaks count, so that empty lines aren't endless.
const fn size(output: &str) -> u64 {
    output.len() as u64 + 1
}

impl Shaper {
    fn new(limit: u64) -> Self {
        Self { masker: Masker::default(), used: 0, limit, overflowed: false, said: HashMap::new() }
    }

    /// Goes on after these lines.
    fn after(limit: u64, lines: &[LogEntry]) -> Self {
        let mut shaper = Self::new(limit);
        for entry in lines {
            shaper.used += size(&entry.output);
            *shaper.said.entry(said(entry)).or_default() += 1;
        }
        shaper.overflowed = lines.last().is_some_and(|last| last.output == shaper.notice());
        shaper
    }

    fn notice(&self) -> String {
        format!("The job's log is longer than {} bytes; the rest is left out.", self.limit)
    }

    /// Whether the line was said already; each counts once.
    fn was_said(&mut self, entry: &LogEntry) -> bool {
        if self.said.is_empty() {
            return false;
        }
        let times = self.said.get_mut(&said(entry)).filter(|times| **times > 0);
        times.map(|times| *times -= 1).is_some()
    }

    fn shape(&mut self, line: Line, into: &mut Vec<LogEntry>) {
        if self.overflowed {
            return;
        }
        let said: Vec<String> = if line.output.is_empty() {
            vec![String::new()]
        } else {
            line.output.lines().map(|text| self.masker.line(text).replace('\0', "\u{fffd}")).collect()
        };
        for part in said.iter().flat_map(|text| split(text, MAX_OUTPUT)) {
            if self.overflowed {
                return;
            }
            let size = size(part);
            let mut entry = LogEntry {
                time: Some(line.time.into()),
                source: line.source.into(),
                level: line.level.into(),
                stage: line.stage.clone().into_owned(),
                output: part.to_owned(),
            };
            if self.was_said(&entry) {
                continue;
            }
            if self.used + size + NOTICE_ROOM > self.limit {
                self.overflowed = true;
                entry.source = LogSource::ProvisionerDaemon.into();
                entry.level = LogLevel::Warn.into();
                entry.output = self.notice();
            }
            self.used += size;
            into.push(entry);
        }
    }
}

/// Parts of at most `max` bytes, cut between characters.
fn split(text: &str, max: usize) -> impl Iterator<Item = &str> {
    let mut rest = text;
    let mut first = true;
    std::iter::from_fn(move || {
        if rest.is_empty() && !first {
            return None;
        }
        first = false;
        let (part, tail) = rest.split_at(rest.floor_char_boundary(max));
        rest = tail;
        Some(part)
    })
}

/// Shapes what is said and puts it into the spool. Counts what the spool didn't take.
#[derive(Debug)]
struct Writer {
    shaper: Shaper,
    missing: u64,
    /// Why, the last time.
    cause: String,
}

impl Writer {
    const fn new(shaper: Shaper) -> Self {
        Self { shaper, missing: 0, cause: String::new() }
    }

    /// Goes on with the spool, which has lines if an earlier daemon had the job.
    fn after(limit: u64, spool: &Spool) -> Self {
        let lines = spool.lines().unwrap_or_else(|error| {
            tracing::warn!(%error, "a job's log can't be read back; lines may come twice");
            Vec::new()
        });
        let shaper = Shaper::after(limit, &lines);
        if shaper.overflowed {
            spool.overflow();
        }
        Self::new(shaper)
    }

    /// What is said about lines that are missing, at the place where they are.
    fn notice(&self, next: Option<&LogEntry>) -> Option<LogEntry> {
        (self.missing > 0).then(|| LogEntry {
            time: Some(SystemTime::now().into()),
            source: LogSource::ProvisionerDaemon.into(),
            level: LogLevel::Warn.into(),
            stage: next.map(|entry| entry.stage.clone()).unwrap_or_default(),
            output: format!("{} lines are missing: {}", self.missing, self.cause),
        })
    }

    /// Writes a batch; tried twice, then it is missing. Returns whether there is something to send.
    fn write(&mut self, mut entries: Vec<LogEntry>, append: impl Fn(&[LogEntry], bool) -> io::Result<()>) -> bool {
        let lines = entries.len();
        if let Some(notice) = self.notice(entries.first()) {
            entries.insert(0, notice);
        }
        if entries.is_empty() {
            return false;
        }
        let overflowed = self.shaper.overflowed;
        match append(&entries, overflowed).or_else(|_| append(&entries, overflowed)) {
            Ok(()) => self.missing = 0,
            Err(error) => {
                tracing::error!(%error, lines, "can't write a job's log; lines are lost");
                self.missing += lines as u64;
                self.cause = error.to_string();
            }
        }
        true
    }
}

enum Command {
    Line(Line),
    Mask(Vec<String>),
    Flush(oneshot::Sender<()>),
    Masked(String, oneshot::Sender<String>),
}

/// Where a job's lines go; slows its caller down when the disk does.
#[derive(Debug, Clone)]
pub(crate) struct Log(mpsc::Sender<Command>);

impl Log {
    /// Numbers lines into the spool, and wakes the session for each batch.
    pub(crate) fn start(spool: Arc<Spool>, limit: u64, wake: Arc<Notify>) -> Self {
        let (sender, mut receiver) = mpsc::channel(QUEUE);
        tokio::spawn(async move {
            let before = Arc::clone(&spool);
            let mut writer = match tokio::task::spawn_blocking(move || Writer::after(limit, &before)).await {
                Ok(writer) => writer,
                Err(error) => return tracing::error!(%error, "a job's log writer failed; lines are lost"),
            };
            let mut commands = Vec::new();
            while receiver.recv_many(&mut commands, QUEUE).await > 0 {
                let (spool, wake, batch) = (Arc::clone(&spool), Arc::clone(&wake), std::mem::take(&mut commands));
                // A thread for as long as the disk takes, not for as long as the job.
                let written = tokio::task::spawn_blocking(move || {
                    write_batch(&mut writer, &spool, &wake, batch.into_iter());
                    writer
                });
                match written.await {
                    Ok(back) => writer = back,
                    Err(error) => return tracing::error!(%error, "a job's log writer failed; lines are lost"),
                }
            }
        });
        Self(sender)
    }

    pub(crate) async fn line(&self, line: Line) {
        // The writer outlives every sender.
        let _ = self.0.send(Command::Line(line)).await;
    }

    /// Masks these values in all lines that follow.
    pub(crate) async fn mask(&self, values: Vec<String>) {
        let _ = self.0.send(Command::Mask(values)).await;
    }

    /// The text as a line would show it.
    pub(crate) async fn masked(&self, text: String) -> String {
        let (reply, masked) = oneshot::channel();
        if self.0.send(Command::Masked(text, reply)).await.is_err() {
            return String::new();
        }
        masked.await.unwrap_or_default()
    }

    /// Returns when everything said before is numbered.
    pub(crate) async fn flush(&self) {
        let (done, wait) = oneshot::channel();
        if self.0.send(Command::Flush(done)).await.is_ok() {
            let _ = wait.await;
        }
    }
}

fn write_batch(writer: &mut Writer, spool: &Spool, wake: &Notify, commands: impl Iterator<Item = Command>) {
    let mut entries = Vec::new();
    let mut waiting = Vec::new();
    for command in commands {
        match command {
            Command::Line(line) => writer.shaper.shape(line, &mut entries),
            Command::Mask(values) => writer.shaper.masker.add(&values),
            Command::Flush(done) => waiting.push(done),
            Command::Masked(text, reply) => {
                let _ = reply.send(writer.shaper.masker.text(&text));
            }
        }
    }
    if writer.write(entries, |entries, overflowed| spool.append(entries, overflowed)) {
        wake.notify_one();
    }
    for done in waiting {
        let _ = done.send(());
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    fn line(output: &str) -> Line {
        Line {
            time: SystemTime::UNIX_EPOCH,
            source: LogSource::Provisioner,
            level: LogLevel::Info,
            stage: "Planning".into(),
            output: output.to_owned(),
        }
    }

    fn shaped(shaper: &mut Shaper, output: &str) -> Vec<String> {
        let mut entries = Vec::new();
        shaper.shape(line(output), &mut entries);
        entries.into_iter().map(|e| e.output).collect()
    }

    #[test]
    fn long_lines_are_split_between_characters() {
        let mut shaper = Shaper::new(1 << 20);
        let parts = shaped(&mut shaper, &"ä".repeat(MAX_OUTPUT));
        assert_eq!(parts.len(), 2);
        assert!(parts.iter().all(|p| p.len() <= MAX_OUTPUT));
        assert_eq!(shaped(&mut shaper, ""), [""]);
        assert_eq!(shaped(&mut shaper, "a\nb\0"), ["a", "b\u{fffd}"]);
    }

    #[test]
    fn sensitive_values_are_masked_before_a_line_is_split() {
        let mut shaper = Shaper::new(1 << 20);
        shaper.masker.add(&["hunter22".to_owned()]);
        let text = format!("{}hunter22\nhunter22", "x".repeat(MAX_OUTPUT - 4));
        let said = shaped(&mut shaper, &text).concat();
        assert!(said.ends_with("x(sensitive value)(sensitive value)"), "{}", &said[MAX_OUTPUT - 10..]);
    }

    #[test]
    fn lines_that_cant_be_written_are_counted_where_they_are_missing() {
        let mut writer = Writer::new(Shaper::new(1 << 20));
        let (written, left) = (RefCell::new(Vec::new()), Cell::new(0));
        let mut say = |output: &str, failures: u32| {
            left.set(failures);
            let entry = LogEntry { output: output.to_owned(), ..LogEntry::default() };
            writer.write(vec![entry], |entries, _| {
                if left.get() > 0 {
                    left.set(left.get() - 1);
                    return Err(io::Error::from_raw_os_error(nix::errno::Errno::ENOSPC as i32));
                }
                written.borrow_mut().extend(entries.iter().map(|e| e.output.clone()));
                Ok(())
            });
        };
        say("one", 0);
        say("retried", 1);
        say("lost", 2);
        say("lost too", 2);
        say("four", 0);
        say("five", 0);
        let written = written.into_inner();
        assert!(written[2].starts_with("2 lines are missing: No space left"), "{written:?}");
        assert_eq!([&written[..2], &written[3..]].concat(), ["one", "retried", "four", "five"]);
    }

    #[test]
    fn lines_of_an_earlier_daemon_arent_said_again() {
        let mut shaper = Shaper::new(1 << 20);
        let mut before = Vec::new();
        for output in ["one", "twice", "twice", "secret"] {
            shaper.shape(line(output), &mut before);
        }
        let mut later = Shaper::after(1 << 20, &before);
        for (output, again) in [("one", 0), ("twice", 0), ("new", 1), ("twice", 0), ("twice", 1)] {
            assert_eq!(shaped(&mut later, output).len(), again, "{output}");
        }
        assert_eq!(later.used, shaper.used + size("new") + size("twice"));
        let mut full = Shaper::new(NOTICE_ROOM + 10);
        let mut before = Vec::new();
        full.shape(line("12345\n67890"), &mut before);
        assert!(Shaper::after(NOTICE_ROOM + 10, &before).overflowed);
    }

    #[test]
    fn over_the_cap_one_notice_and_then_silence() {
        let mut shaper = Shaper::new(NOTICE_ROOM + 10);
        assert_eq!(shaped(&mut shaper, "12345"), ["12345"]);
        let notice = shaped(&mut shaper, "67890");
        assert!(notice[0].contains("left out"), "{notice:?}");
        assert!(shaper.overflowed);
        assert!(shaped(&mut shaper, "x").is_empty());
    }
}

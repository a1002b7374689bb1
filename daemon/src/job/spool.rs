//! A job's numbered log lines in a file, from which everything that the server hasn't acknowledged is sent (again).

use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use orgplane_proto::provisioner::v1::LogEntry;
use prost::Message as _;

use crate::files::private_file;

/// Bytes of a batch and lines in it, so that a batch stays far below the message limit.
const BATCH_BYTES: u64 = 64 * 1024;
const BATCH_LINES: usize = 500;

/// The file and where its unacknowledged lines are.
#[derive(Debug)]
pub(crate) struct Spool {
    file: File,
    index: Mutex<Index>,
}

#[derive(Debug)]
struct Index {
    /// The line before the first of `lines`: the last that is acknowledged.
    acked: i64,
    sent: i64,
    lines: VecDeque<Place>,
    end: u64,
    credit: u64,
    overflowed: bool,
}

impl Index {
    fn new(next: i64, credit: u64) -> Self {
        let before = next.max(1) - 1;
        Self { acked: before, sent: before, lines: VecDeque::new(), end: 0, credit, overflowed: false }
    }
}

/// Where a line is, and how long its output is with its end: empty lines use credit too.
#[derive(Debug, Clone, Copy)]
struct Place {
    start: u64,
    output: u64,
}

/// Lines that are to be sent now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) first: i64,
    pub(crate) overflowed: bool,
    pub(crate) lines: usize,
    start: u64,
    end: u64,
}

impl Spool {
    /// An empty spool whose first line gets the number `next`.
    pub(crate) fn create(path: &Path, next: i64, credit: u64) -> std::io::Result<Self> {
        let file = private_file(path)?;
        file.set_len(0)?;
        Ok(Self { file, index: Mutex::new(Index::new(next, credit)) })
    }

    /// The spool that an earlier daemon left, all of it unacknowledged; what it wrote last in part is cut off.
    pub(crate) fn open(path: &Path, next: i64, credit: u64) -> std::io::Result<Self> {
        let spool = Self { file: private_file(path)?, index: Mutex::new(Index::new(next, credit)) };
        let mut index = spool.index();
        each(&spool.file, |entry, length| {
            let start = index.end;
            index.lines.push_back(Place { start, output: entry.output.len() as u64 + 1 });
            index.end += length;
        })?;
        spool.file.set_len(index.end)?;
        drop(index);
        Ok(spool)
    }

    /// All lines that were ever added. Blocks on the file.
    pub(crate) fn lines(&self) -> std::io::Result<Vec<LogEntry>> {
        let mut lines = Vec::new();
        each(&self.file, |entry, _| lines.push(entry))?;
        Ok(lines)
    }

    /// No more lines will come after those that are there.
    pub(crate) fn overflow(&self) {
        self.index().overflowed = true;
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds lines. Only one thread may add; it blocks on the file.
    pub(crate) fn append(&self, entries: &[LogEntry], overflowed: bool) -> std::io::Result<()> {
        let start = self.index().end;
        let mut at = start;
        let mut bytes = Vec::new();
        let mut places = Vec::with_capacity(entries.len());
        for entry in entries {
            let before = bytes.len();
            entry.encode_length_delimited(&mut bytes).map_err(std::io::Error::other)?;
            places.push(Place { start: at, output: entry.output.len() as u64 + 1 });
            at += (bytes.len() - before) as u64;
        }
        self.file.write_all_at(&bytes, start)?;
        let mut index = self.index();
        index.lines.extend(places);
        index.end = at;
        index.overflowed |= overflowed;
        Ok(())
    }

    /// The number of the newest line.
    pub(crate) fn last(&self) -> i64 {
        let index = self.index();
        index.acked + count(&index.lines)
    }

    pub(crate) fn all_acked(&self) -> bool {
        self.index().lines.is_empty()
    }

    /// Takes what may be sent now: the next unsent lines, as far as the credit goes. A line longer than the whole credit
    /// goes alone, or nothing would ever move again.
    pub(crate) fn take(&self) -> Option<Batch> {
        let mut index = self.index();
        let skip = usize::try_from(index.sent - index.acked).unwrap_or(0);
        let mut open: u64 = index.lines.iter().take(skip).map(|p| p.output).sum();
        let start = index.lines.get(skip)?.start;
        let mut lines = 0;
        for place in index.lines.iter().skip(skip).take(BATCH_LINES) {
            let within = open + place.output <= index.credit && place.start - start <= BATCH_BYTES;
            let alone = open == 0 && lines == 0;
            if !(within || alone) {
                break;
            }
            open += place.output;
            lines += 1;
        }
        if lines == 0 {
            return None;
        }
        let first = index.sent + 1;
        index.sent += i64::try_from(lines).unwrap_or(0);
        let end = index.lines.get(skip + lines).map_or(index.end, |p| p.start);
        let whole = skip + lines == index.lines.len();
        Some(Batch { first, overflowed: index.overflowed && whole, lines, start, end })
    }

    /// The lines of a batch; blocks on the file.
    pub(crate) fn read(&self, batch: &Batch) -> std::io::Result<Vec<LogEntry>> {
        let length = usize::try_from(batch.end - batch.start).map_err(std::io::Error::other)?;
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, batch.start)?;
        let mut rest = bytes.as_slice();
        let mut entries = Vec::new();
        while !rest.is_empty() {
            entries.push(LogEntry::decode_length_delimited(&mut rest).map_err(std::io::Error::other)?);
        }
        if entries.len() != batch.lines {
            return Err(std::io::Error::other("other lines are there than were written"));
        }
        Ok(entries)
    }

    /// The server has stored all lines up to this. A credit of 0 leaves it as it is.
    pub(crate) fn ack(&self, number: i64, credit: u64) {
        let mut index = self.index();
        while index.acked < number && index.lines.pop_front().is_some() {
            index.acked += 1;
        }
        index.sent = index.sent.max(index.acked);
        if credit > 0 {
            index.credit = credit;
        }
    }

    /// After a reconnect: the server's next line is this, what follows is sent again.
    pub(crate) fn rewind(&self, next: i64, credit: u64) {
        self.ack(next - 1, credit);
        let mut index = self.index();
        index.sent = index.acked;
    }
}

/// Each whole line of the file, with the bytes it takes there.
fn each(file: &File, mut line: impl FnMut(LogEntry, u64)) -> std::io::Result<()> {
    let mut bytes = vec![0; usize::try_from(file.metadata()?.len()).map_err(std::io::Error::other)?];
    file.read_exact_at(&mut bytes, 0)?;
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let before = rest.len();
        let Ok(entry) = LogEntry::decode_length_delimited(&mut rest) else { break };
        line(entry, (before - rest.len()) as u64);
    }
    Ok(())
}

fn count(lines: &VecDeque<Place>) -> i64 {
    i64::try_from(lines.len()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(output: &str) -> LogEntry {
        LogEntry { output: output.to_owned(), ..LogEntry::default() }
    }

    fn spool(credit: u64) -> (tempfile::TempDir, Spool) {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::create(&dir.path().join("logs"), 5, credit).unwrap();
        (dir, spool)
    }

    #[test]
    fn lines_are_sent_within_the_credit_and_again_after_a_reconnect() {
        let (_dir, spool) = spool(10);
        spool.append(&[line("aaaa"), line("bbbb"), line("cccc")], false).unwrap();
        assert_eq!(spool.last(), 7);
        let batch = spool.take().unwrap();
        assert_eq!(batch.first, 5);
        assert_eq!(spool.read(&batch).unwrap(), [line("aaaa"), line("bbbb")]);
        assert_eq!(spool.take(), None, "the credit is used up");
        spool.ack(5, 10);
        assert_eq!(spool.read(&spool.take().unwrap()).unwrap(), [line("cccc")]);
        spool.rewind(6, 1000);
        let again = spool.take().unwrap();
        assert_eq!((again.first, spool.read(&again).unwrap()), (6, vec![line("bbbb"), line("cccc")]));
        spool.ack(7, 1000);
        assert!(spool.all_acked());
    }

    #[test]
    fn a_later_daemon_finds_all_whole_lines() {
        let (dir, first) = spool(1000);
        first.append(&[line("one"), line("two")], false).unwrap();
        let path = dir.path().join("logs");
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, [whole.as_slice(), &whole[..2]].concat()).unwrap();
        let second = Spool::open(&path, 5, 1000).unwrap();
        assert_eq!((second.last(), second.lines().unwrap()), (6, vec![line("one"), line("two")]));
        second.rewind(6, 1000);
        second.append(&[line("three")], false).unwrap();
        let batch = second.take().unwrap();
        assert_eq!((batch.first, second.read(&batch).unwrap()), (6, vec![line("two"), line("three")]));
    }

    #[test]
    fn a_line_over_the_credit_goes_alone() {
        let (_dir, spool) = spool(2);
        spool.append(&[line("too long"), line("x")], true).unwrap();
        let first = spool.take().unwrap();
        assert!(!first.overflowed);
        assert_eq!(spool.read(&first).unwrap(), [line("too long")]);
        assert_eq!(spool.take(), None);
        spool.ack(5, 2);
        assert!(spool.take().unwrap().overflowed);
    }
}

//! The record log: what an engine printed, line by line, framed as stream (1 byte), flags (1 byte), microseconds since
//! 1970 (8 bytes), length (4 bytes), all little endian, and the line without its end.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::time::{Duration, SystemTime};

/// A longer line is cut here; the rest of it is read and dropped.
pub(crate) const MAX_LINE: usize = 256 * 1024;
const HEADER: usize = 14;
const TRUNCATED: u8 = 1;

/// Where a line was printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

/// One printed line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) stream: Stream,
    pub(crate) time: SystemTime,
    /// The line was longer than is kept.
    pub(crate) truncated: bool,
    pub(crate) line: Vec<u8>,
}

impl Record {
    fn is_telling(&self) -> bool {
        self.stream == Stream::Stderr
            || KEPT.iter().any(|part| self.line.windows(part.len()).any(|found| found == *part))
    }

    fn encode(&self, into: &mut Vec<u8>) {
        let micros = self.time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_micros();
        into.push(match self.stream {
            Stream::Stdout => 1,
            Stream::Stderr => 2,
        });
        into.push(if self.truncated { TRUNCATED } else { 0 });
        into.extend_from_slice(&u64::try_from(micros).unwrap_or(u64::MAX).to_le_bytes());
        into.extend_from_slice(&u32::try_from(self.line.len()).unwrap_or(u32::MAX).to_le_bytes());
        into.extend_from_slice(&self.line);
    }

    /// Takes the first whole record off the buffer, if there is one.
    pub(crate) fn decode(buffer: &mut bytes::BytesMut) -> io::Result<Option<Self>> {
        let Some((header, rest)) = buffer.split_first_chunk::<HEADER>() else { return Ok(None) };
        let [stream, flags, t0, t1, t2, t3, t4, t5, t6, t7, l0, l1, l2, l3] = *header;
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        if length > MAX_LINE {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the record log is damaged"));
        }
        let Some(line) = rest.get(..length) else { return Ok(None) };
        let micros = u64::from_le_bytes([t0, t1, t2, t3, t4, t5, t6, t7]);
        let record = Self {
            stream: if stream == 1 { Stream::Stdout } else { Stream::Stderr },
            time: SystemTime::UNIX_EPOCH + Duration::from_micros(micros),
            truncated: flags & TRUNCATED != 0,
            line: line.to_vec(),
        };
        let _ = buffer.split_to(HEADER + length);
        Ok(Some(record))
    }
}

/// Bytes beyond the limit for what tells how a command ended: errors, and which resources were begun and ended.
const RESERVE: u64 = 8 * 1024 * 1024;
const KEPT: [&[u8]; 2] = [b"\"@level\":\"error\"", b"\"type\":\"apply_"];

/// Writes records up to a limit, then drops all but the most telling ones.
#[derive(Debug)]
pub(crate) struct Writer {
    file: File,
    left: u64,
    reserve: u64,
    broken: bool,
    pub(crate) truncated: bool,
}

impl Writer {
    pub(crate) fn new(file: File, limit: u64) -> Self {
        Self { file, left: limit, reserve: RESERVE, broken: false, truncated: false }
    }

    /// Writes what fits; a full disk is as a reached limit, for the engine must go on.
    pub(crate) fn write(&mut self, records: &[Record]) {
        let mut bytes = Vec::new();
        for record in records {
            record.encode(&mut bytes);
        }
        if !self.truncated && bytes.len() as u64 <= self.left {
            self.left -= bytes.len() as u64;
        } else {
            self.truncated = true;
            bytes.clear();
            records.iter().filter(|record| record.is_telling()).for_each(|record| record.encode(&mut bytes));
            let Some(left) = self.reserve.checked_sub(bytes.len() as u64) else { return };
            self.reserve = left;
        }
        // A record that is written in part is the end of what can be read.
        if !self.broken && self.file.write_all(&bytes).is_err() {
            (self.broken, self.truncated) = (true, true);
        }
    }
}

/// Reads to the end, and hands on the lines of each read together.
pub(crate) fn read_lines(mut from: impl Read, stream: Stream, mut lines: impl FnMut(&[Record])) {
    let mut chunk = vec![0; 64 * 1024];
    let mut line = Vec::new();
    let mut truncated = false;
    let record = |line: &mut Vec<u8>, truncated: &mut bool| {
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        let time = SystemTime::now();
        Record { stream, time, truncated: std::mem::take(truncated), line: std::mem::take(line) }
    };
    loop {
        let read = match from.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        let mut whole = Vec::new();
        for part in chunk.get(..read).unwrap_or_default().split_inclusive(|&b| b == b'\n') {
            let (text, ended) = part.strip_suffix(b"\n").map_or((part, false), |text| (text, true));
            let room = MAX_LINE - line.len();
            truncated |= text.len() > room;
            line.extend_from_slice(text.get(..room).unwrap_or(text));
            if ended {
                whole.push(record(&mut line, &mut truncated));
            }
        }
        if !whole.is_empty() {
            lines(&whole);
        }
    }
    if !line.is_empty() {
        lines(&[record(&mut line, &mut truncated)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &[u8]) -> Vec<(Vec<u8>, bool)> {
        let mut found = Vec::new();
        read_lines(input, Stream::Stdout, |r| found.extend(r.iter().map(|r| (r.line.clone(), r.truncated))));
        found
    }

    #[test]
    fn lines_of_any_length_are_read() {
        let plain = |text: &str| (text.as_bytes().to_vec(), false);
        assert_eq!(lines(b"a\r\n\nb"), [plain("a"), plain(""), plain("b")]);
        let mut long = vec![b'x'; MAX_LINE + 70_000];
        long.extend_from_slice(b"\nnext\n");
        let found = lines(&long);
        assert_eq!((found[0].0.len(), found[0].1), (MAX_LINE, true));
        assert_eq!(found[1..], [plain("next")]);
    }

    #[test]
    fn beyond_the_limit_only_what_tells_the_end_is_kept() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut writer = Writer::new(file.reopen().unwrap(), 100);
        let chatter = "x".repeat(60);
        let lines = format!("{chatter}\n{chatter}\n{{\"@level\":\"error\"}}\n{chatter}\n");
        read_lines(lines.as_bytes(), Stream::Stdout, |records| {
            records.iter().for_each(|r| writer.write(std::slice::from_ref(r)))
        });
        assert!(writer.truncated);
        let mut buffer = bytes::BytesMut::from(&std::fs::read(file.path()).unwrap()[..]);
        let mut kept = Vec::new();
        while let Some(record) = Record::decode(&mut buffer).unwrap() {
            kept.push(String::from_utf8(record.line).unwrap());
        }
        assert_eq!(kept, [chatter, "{\"@level\":\"error\"}".to_owned()]);
    }

    #[test]
    fn records_come_back_as_they_were_written() {
        let mut records = Vec::new();
        read_lines(&b"one\n\xff\n"[..], Stream::Stderr, |r| records.extend_from_slice(r));
        let mut bytes = Vec::new();
        records.iter().for_each(|r| r.encode(&mut bytes));
        let mut buffer = bytes::BytesMut::from(&bytes[..bytes.len() - 1]);
        let first = Record::decode(&mut buffer).unwrap().unwrap();
        assert_eq!((first.stream, first.line.as_slice()), (Stream::Stderr, &b"one"[..]));
        assert_eq!(Record::decode(&mut buffer).unwrap(), None, "the second isn't whole yet");
        buffer.extend_from_slice(&bytes[bytes.len() - 1..]);
        assert_eq!(Record::decode(&mut buffer).unwrap().unwrap().line, [0xff]);
    }
}

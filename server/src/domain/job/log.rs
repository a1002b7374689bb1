//! What jobs print.

use serde::{Deserialize, Serialize};

use crate::domain::Timestamp;

/// Who says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogSource {
    /// The daemon, or the server.
    #[serde(rename = "d")]
    Daemon,
    /// The engine.
    #[serde(rename = "e")]
    Engine,
}

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum LogLevel {
    #[serde(rename = "t")]
    Trace,
    #[serde(rename = "d")]
    Debug,
    #[serde(rename = "i")]
    Info,
    #[serde(rename = "w")]
    Warn,
    #[serde(rename = "e")]
    Error,
}

/// One line. Its number is its place in the job's log, from 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When it was said, in microseconds.
    #[serde(rename = "t", with = "micros")]
    pub time: Timestamp,
    /// Who said it.
    #[serde(rename = "f")]
    pub source: LogSource,
    /// How much it matters.
    #[serde(rename = "l")]
    pub level: LogLevel,
    /// What was going on.
    #[serde(rename = "s")]
    pub stage: String,
    /// The line.
    #[serde(rename = "o")]
    pub output: String,
}

/// Bytes of a stage that don't count.
const STAGE: usize = 64;

/// Lines that follow each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogBatch {
    /// The first line's number.
    pub first_number: i64,
    /// The lines.
    pub lines: Vec<LogLine>,
    /// The log reached its cap; the last line says so.
    pub overflowed: bool,
}

impl LogBatch {
    /// The number that follows the last line's.
    #[must_use]
    pub fn end(&self) -> i64 {
        self.first_number.saturating_add(i64::try_from(self.lines.len()).unwrap_or(i64::MAX))
    }

    /// What counts for the cap: bytes of output, a line break each, as daemons count; and of a stage what is longer than
    /// stages are.
    #[must_use]
    pub fn bytes(&self) -> i64 {
        let size = |line: &LogLine| line.output.len() + 1 + line.stage.len().saturating_sub(STAGE);
        i64::try_from(self.lines.iter().map(size).sum::<usize>()).unwrap_or(i64::MAX)
    }

    /// What of it isn't stored yet, when the next number is `next`: the rest, or nothing when all is.
    ///
    /// # Errors
    /// [`Gap`] when lines are missing before its first.
    pub fn from(mut self, next: i64) -> Result<Self, Gap> {
        if self.first_number > next {
            return Err(Gap { expected: next, got: self.first_number });
        }
        let stored = usize::try_from(next - self.first_number).unwrap_or(usize::MAX).min(self.lines.len());
        self.lines.drain(..stored);
        self.first_number = next;
        Ok(self)
    }
}

/// Where a log stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogStanding {
    /// The last line that was taken; it is stored unless it was beyond the log's limit.
    pub last_number: i64,
    /// Nothing follows: the job has ended.
    pub ended: bool,
}

/// Lines are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected line {expected}, got {got}")]
pub struct Gap {
    /// The next number.
    pub expected: i64,
    /// The number that came.
    pub got: i64,
}

mod micros {
    use serde::{Deserialize as _, Deserializer, Serializer};

    use crate::domain::Timestamp;

    pub(super) fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(time.0)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(deserializer).map(Timestamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlap_is_trimmed_and_a_gap_is_refused() {
        let line = |output: &str| LogLine {
            time: Timestamp(0),
            source: LogSource::Engine,
            level: LogLevel::Info,
            stage: String::new(),
            output: output.to_owned(),
        };
        let batch = LogBatch { first_number: 3, lines: vec![line("a"), line("b")], overflowed: false };
        assert_eq!(batch.clone().from(2), Err(Gap { expected: 2, got: 3 }));
        assert_eq!(batch.clone().from(3).unwrap(), batch);
        assert_eq!(batch.clone().from(4).unwrap().lines, [line("b")]);
        let stored = batch.clone().from(9).unwrap();
        assert_eq!((stored.first_number, stored.lines.len()), (9, 0));
        assert_eq!((batch.end(), batch.bytes()), (5, 4), "empty lines count");
    }
}

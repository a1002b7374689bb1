//! What a job's directory says about the job, for a daemon that starts later and goes on with it.
//!
//! The directory holds `work` (where the engine runs), `steps` (one directory per engine command, see [`crate::shim`]) and
//! these files. All but `assign` and `logs` are there only once what they tell has happened.

use std::io;
use std::path::Path;
use std::time::SystemTime;

use orgplane_proto::provisioner::v1::{ApplyVerdict, Assign, Result as JobResult};
use prost::Message as _;

use super::Stop;
use crate::files::write_private;
use crate::foreign;

/// The assignment as it came.
const ASSIGN: &str = "assign";
/// The numbered lines.
pub(crate) const LOGS: &str = "logs";
/// The server may have heard the question for the permit.
const ASKED: &str = "asked";
/// The verdict that permits the apply.
const PERMITTED: &str = "permitted";
/// Why the job is to stop.
const STOPPED: &str = "stopped";
/// How it ended.
const RESULT: &str = "result";
/// The directory is to stay: it may hold a state that is nowhere else.
const KEPT: &str = "kept";
/// Nothing more is to be said of the job.
const OVER: &str = "over";
/// None of them is longer: a message has at most 1 MiB.
const MAX_FILE: u64 = 16 * 1024 * 1024;

/// The record of the job in this directory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'a>(pub(crate) &'a Path);

impl Record<'_> {
    fn read(self, name: &str) -> Option<Vec<u8>> {
        foreign::read(&self.0.join(name), MAX_FILE).ok()
    }

    fn has(self, name: &str) -> bool {
        self.0.join(name).exists()
    }

    fn written(self, name: &str) -> Option<SystemTime> {
        std::fs::metadata(self.0.join(name)).and_then(|about| about.modified()).ok()
    }

    /// For what the job can do without: nothing is lost unless the daemon dies.
    fn note(self, name: &str, bytes: &[u8]) {
        let path = self.0.join(name);
        if let Err(error) = write_private(&path, bytes) {
            tracing::warn!(path = %path.display(), %error, "can't write a job's record");
        }
    }

    pub(crate) fn assigned(self, assign: &Assign) -> io::Result<()> {
        write_private(&self.0.join(ASSIGN), &assign.encode_to_vec())
    }

    /// The job that a later daemon has to go on with, if there is one.
    pub(crate) fn unfinished(self) -> Option<Assign> {
        if self.has(OVER) {
            return None;
        }
        Assign::decode(self.read(ASSIGN)?.as_slice()).ok()
    }

    /// Since when the job is in the daemon's hands.
    pub(crate) fn assigned_at(self) -> Option<SystemTime> {
        self.written(ASSIGN)
    }

    /// To be called before the server is asked.
    pub(crate) fn asks(self) -> io::Result<()> {
        write_private(&self.0.join(ASKED), b"")
    }

    pub(crate) fn has_asked(self) -> bool {
        self.has(ASKED)
    }

    /// To be called before anything is changed.
    pub(crate) fn permitted(self, verdict: &ApplyVerdict) -> io::Result<()> {
        write_private(&self.0.join(PERMITTED), &verdict.encode_to_vec())
    }

    pub(crate) fn is_permitted(self) -> bool {
        self.has(PERMITTED)
    }

    /// When the permit came, if it did.
    pub(crate) fn permitted_at(self) -> Option<SystemTime> {
        self.written(PERMITTED)
    }

    /// The verdict that permitted it.
    pub(crate) fn verdict(self) -> ApplyVerdict {
        self.read(PERMITTED).and_then(|bytes| ApplyVerdict::decode(bytes.as_slice()).ok()).unwrap_or_default()
    }

    pub(crate) fn stops(self, stop: &Stop) {
        self.note(STOPPED, &serde_json::to_vec(stop).unwrap_or_default());
    }

    pub(crate) fn stop(self) -> Option<Stop> {
        serde_json::from_slice(&self.read(STOPPED)?).ok()
    }

    pub(crate) fn ended(self, result: &JobResult) {
        self.note(RESULT, &result.encode_to_vec());
    }

    pub(crate) fn result(self) -> Option<JobResult> {
        JobResult::decode(self.read(RESULT)?.as_slice()).ok()
    }

    pub(crate) fn keep(self) {
        self.note(KEPT, b"");
    }

    pub(crate) fn is_kept(self) -> bool {
        self.has(KEPT)
    }

    pub(crate) fn over(self) {
        self.note(OVER, b"");
    }
}

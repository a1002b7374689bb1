//! The names in an archive.

use crate::domain::rule::is_hidden;
use std::collections::BTreeMap;

use super::{Fault, MAX_DEPTH, MAX_ENTRIES, MAX_PART, MAX_PATH};

/// Names seen so far, as file systems that ignore case see them; whether each is a file.
#[derive(Debug, Default)]
pub(super) struct Names {
    seen: BTreeMap<String, bool>,
    files: usize,
}

impl Names {
    /// Takes an entry in if its name is fit and new.
    pub(super) fn admit(&mut self, path: &[u8], is_file: bool) -> Result<(), Fault> {
        let Some(name) = fit(path)? else {
            let root = || String::from_utf8_lossy(path).into_owned();
            return if is_file { Err(Fault::Length(root())) } else { Ok(()) };
        };
        if self.seen.len() == MAX_ENTRIES {
            return Err(Fault::Entries);
        }
        if self.seen.insert(name.to_lowercase(), is_file).is_some() {
            return Err(Fault::Duplicate(name));
        }
        self.files += usize::from(is_file);
        Ok(())
    }

    /// The rules that all names keep together.
    pub(super) fn finish(&self) -> Result<(), Fault> {
        if self.files == 0 {
            return Err(Fault::Empty);
        }
        for name in self.seen.keys() {
            let folders = name.match_indices('/').filter_map(|(at, _)| name.get(..at));
            if let Some(folder) = folders.into_iter().find(|folder| self.seen.get(*folder) == Some(&true)) {
                return Err(Fault::FileAndFolder(folder.to_owned()));
            }
        }
        Ok(())
    }
}

/// The path without `.` components and doubled separators; `None` for the archive's root.
fn fit(path: &[u8]) -> Result<Option<String>, Fault> {
    let shown = || String::from_utf8_lossy(path.get(..MAX_PATH).unwrap_or(path)).into_owned();
    if path.len() > MAX_PATH || path.is_empty() {
        return Err(Fault::Length(shown()));
    }
    let text = std::str::from_utf8(path).map_err(|_| Fault::Name(shown()))?;
    if text.chars().any(is_hidden) {
        return Err(Fault::Name(shown()));
    }
    // A backslash separates on some systems and is part of a name on others: both readings must be safe.
    let drive = text.as_bytes().get(1) == Some(&b':') && text.as_bytes()[0].is_ascii_alphabetic();
    if text.starts_with(['/', '\\']) || drive {
        return Err(Fault::Absolute(shown()));
    }
    if text.split(['/', '\\']).any(|part| part == "..") {
        return Err(Fault::Parent(shown()));
    }
    let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.len() > MAX_DEPTH || parts.iter().any(|part| part.len() > MAX_PART) {
        return Err(Fault::Length(shown()));
    }
    if parts.iter().any(|part| is_device(part)) {
        return Err(Fault::Reserved(shown()));
    }
    Ok((!parts.is_empty()).then(|| parts.join("/")))
}

/// Windows has these names in every folder.
fn is_device(part: &str) -> bool {
    let name = part.to_ascii_lowercase();
    let numbered = |port: &str| name.strip_prefix(port).is_some_and(|n| matches!(n.as_bytes(), [b'1'..=b'9']));
    matches!(name.as_str(), "con" | "prn" | "aux" | "nul") || numbered("com") || numbered("lpt")
}

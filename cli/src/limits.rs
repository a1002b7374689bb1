//! How many files, and so connections, this process may have open.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// More are never needed; some programs that inherit the limit walk through all numbers below it.
const MAX_FILES: u64 = 64 * 1024;
const MAX_CONNECTIONS: u64 = 8192;
const MIN_CONNECTIONS: u64 = 16;

/// Takes the files that the operator's hard limit allows: the soft one is for programs that can't cope with many.
pub(crate) fn raise_open_files() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        let wanted = hard.min(MAX_FILES);
        if soft < wanted { setrlimit(Resource::RLIMIT_NOFILE, wanted, hard) } else { Ok(()) }
    });
    if let Err(error) = raised {
        tracing::warn!(%error, "can't raise the limit of open files");
    }
}

/// Connections that a listener serves at a time: half of the files stay for the database and everything else.
pub(crate) fn connections() -> usize {
    let files = getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft);
    usize::try_from((files / 2).clamp(MIN_CONNECTIONS, MAX_CONNECTIONS)).unwrap_or(usize::MAX)
}

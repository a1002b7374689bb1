//! Bad input, by kind: each row of a table gets a precise answer, the server doesn't panic and fails at nothing, nothing is
//! written, and its memory stays where it was.

mod archives;
mod bombs;
mod cli;
mod fields;
mod floods;
mod frames;
mod hcl;
mod ids;
mod json;
mod logs;
mod long_errors;
mod numbers;
mod refusals;
mod streams;
mod tokens;

use std::collections::BTreeMap;

use orgplane_tests::{Answer, Deployment};

/// Bytes by which the memory of a server may grow while it is shown bad input: what its allocator keeps.
const GROWTH: u64 = 64 * 1024 * 1024;

/// What a server was like before it was shown bad input.
struct Watch {
    rows: BTreeMap<String, i64>,
    memory: u64,
}

impl Watch {
    async fn begin(deployment: &mut Deployment) -> Self {
        Self { rows: deployment.database().rows().await, memory: deployment.process().memory() }
    }

    /// It is as it was.
    async fn end(self, deployment: &mut Deployment) {
        assert_eq!(deployment.database().rows().await, self.rows, "something was written");
        self.end_with_rows(deployment);
    }

    /// The same where something good was written meanwhile.
    fn end_with_rows(self, deployment: &mut Deployment) {
        let process = deployment.process();
        assert!(process.is_running(), "it ended\n{}", process.output());
        let memory = process.memory();
        let grown = memory.saturating_sub(self.memory);
        assert!(grown < GROWTH, "its memory grew from {} to {memory} bytes", self.memory);
        no_fault(&process.stderr());
    }
}

/// A server's log tells of no failure of its own.
fn no_fault(said: &str) {
    for fault in ["panicked", "internal error", "request failed"] {
        let line = said.lines().find(|line| line.contains(fault));
        assert_eq!(line, None, "it failed");
    }
}

/// The answer is an error of one of these statuses, in the documented form.
fn check(answer: &Answer, what: &str, statuses: &[u16]) {
    assert!(statuses.contains(&answer.status), "{what}: {} {} {}", answer.request, answer.status, answer.text());
    answer.refused(answer.status);
}

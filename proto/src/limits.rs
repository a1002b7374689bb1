//! How much one message of a daemon holds at most: daemons send no more, and servers refuse more. Its bytes don't bound
//! that: what is empty takes two of them, and much more where it is read.

use crate::provisioner::v1;

/// Lines in `Logs`.
pub const LOG_ENTRIES: usize = 10_000;
/// Variables in `Discovered`.
pub const VARIABLES: usize = 1_000;
/// Resources and their metadata in `Result`.
pub const RESULT_ITEMS: usize = 5_000;

impl v1::Result {
    /// Its resources and their metadata.
    #[must_use]
    pub fn items(&self) -> usize {
        use v1::result::Payload;
        let lists: [&[v1::Resource]; 2] = match &self.payload {
            None => [&[], &[]],
            Some(Payload::TemplateImport(import)) => [&import.start_resources, &import.stop_resources],
            Some(Payload::DryRun(run)) => [&run.resources, &[]],
            Some(Payload::WorkspaceBuild(build)) => [&build.resources, &[]],
        };
        lists.into_iter().flatten().map(|resource| 1 + resource.metadata.len()).sum()
    }
}

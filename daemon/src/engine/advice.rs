//! What an operator or author can do about errors whose own words don't say it.

/// Words of an error, in lower case, and what helps.
const ADVICE: &[(&[&str], &str)] = &[
    (
        &["no space left on device", "disk quota exceeded"],
        "the provisioner daemon's disk is full: free space below its work and cache directories, or move them with \
         --work-dir and --cache-dir",
    ),
    (&["text file busy"], "a provider of an earlier job still runs; if this repeats, restart the provisioner daemon"),
    (
        &["doesn't match any of the checksums", "does not match any of the checksums", "checksums previously recorded"],
        "the provider isn't the one that the version's import chose: import the template again, or add the daemon's \
         platform to its lock file with `providers lock`",
    ),
    (
        &[
            "failed to query available provider packages",
            "failed to install provider",
            "failed to resolve provider packages",
        ],
        "the provisioner daemon can't get a provider: it needs the way to the provider's registry, or a mirror in the file \
         that its TF_CLI_CONFIG_FILE names",
    ),
    (
        &[
            "failed to load plugin schemas",
            "failed to instantiate provider",
            "plugin did not respond",
            "unrecognized remote plugin message",
            "the plugin encountered an error",
        ],
        "a provider's plugin crashed or isn't made for the provisioner daemon's machine: use another version of it; if it \
         worked before, empty the daemon's cache directory",
    ),
];

/// For the text of an error.
pub(crate) fn on(error: &str) -> Option<&'static str> {
    let error = error.to_lowercase();
    let fits = |words: &&[&str]| words.iter().any(|words| error.contains(words));
    ADVICE.iter().find(|(words, _)| fits(words)).map(|(_, advice)| *advice)
}

/// For what a Go program says as it goes down for lack of memory: the engine, or a provider whose end the engine tells.
pub(super) fn on_crash(line: &str) -> Option<&'static str> {
    let (_, fatal) = line.split_once("fatal error: ")?;
    fatal.contains("memory").then_some(
        "the template took more memory than the provisioner daemon gives a process of the engine: simplify it, or raise \
         --engine-memory-limit",
    )
}

/// The error with what helps against it, where that is known.
pub(crate) fn added(error: String) -> String {
    match on(&error) {
        Some(advice) => format!("{error} ({advice})"),
        None => error,
    }
}

/// For an engine that a signal ended which nobody here sent.
pub(crate) fn on_signal(signal: i32) -> Option<&'static str> {
    (signal == 9).then_some(
        "the system may have run out of memory: give the provisioner daemon's machine or container more, or run fewer jobs \
         at a time with --capacity",
    )
}

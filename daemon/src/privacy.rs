//! Keeps the provisioner key from the templates that the daemon runs.
//!
//! A `local-exec` can read an ancestor's command line and environment in `/proc`. So a program that got the key there
//! starts itself again without it: [`restart_without_key`] hands the key over through a pipe, and the new image takes it
//! with [`take_key`], then calls [`forbid_inspection`].

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, IntoRawFd as _, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use zeroize::Zeroizing;

use crate::Secret;

const MAX_KEY: usize = 4096;

/// Where a key may have been given.
#[derive(Debug, Clone, Copy)]
pub struct Traces<'a> {
    /// Options whose value is the key, such as `--key`; both `--key value` and `--key=value` are removed.
    pub options: &'a [&'a str],
    /// Environment variables whose value is the key.
    pub variables: &'a [&'a str],
    /// The option that gets the number of the pipe in the new image, such as `--key-fd`.
    pub descriptor_option: &'a str,
}

/// Replaces this process by a fresh image of the same program, which has the key in a pipe only. Returns if it can't.
pub fn restart_without_key(key: &Secret, traces: Traces<'_>) -> io::Result<Infallible> {
    let (read, write) = nix::unistd::pipe()?;
    let bytes = key.expose().as_bytes();
    // More might not fit into the pipe, which nobody reads yet.
    if bytes.len() > MAX_KEY {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the key is too long"));
    }
    File::from(write).write_all(bytes)?;
    let mut args = std::env::args_os();
    let name = args.next().unwrap_or_default();
    let mut command = Command::new(std::env::current_exe()?);
    command.arg0(name).args(without_options(args, traces.options));
    command.arg(traces.descriptor_option).arg(read.as_raw_fd().to_string());
    for variable in traces.variables {
        command.env_remove(variable);
    }
    // Kept open across the exec; closed when the exec fails.
    let error = command.exec();
    drop(read);
    Err(error)
}

/// Reads the key that [`restart_without_key`] handed over, and closes the pipe.
pub fn take_key(descriptor: RawFd) -> io::Result<Secret> {
    if descriptor <= 2 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the key's pipe can't be a standard stream"));
    }
    let pipe = File::open(format!("/proc/self/fd/{descriptor}"))?;
    // Closes the inherited number; else reading would wait for a writer that is this process.
    nix::unistd::close(descriptor.into_raw_fd())?;
    let mut text = Zeroizing::new(String::with_capacity(MAX_KEY));
    pipe.take(MAX_KEY as u64).read_to_string(&mut text)?;
    Ok(Secret::new(&text))
}

/// Reads the key that whoever started this process wrote as the first line of its stdin, and nothing after it.
pub fn read_key(stdin: impl io::BufRead) -> io::Result<Secret> {
    let mut text = Zeroizing::new(Vec::with_capacity(MAX_KEY));
    for byte in stdin.bytes().take(MAX_KEY) {
        match byte? {
            b'\n' => break,
            byte => text.push(byte),
        }
    }
    let text = std::str::from_utf8(&text).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it isn't a key"))?;
    Ok(Secret::new(text))
}

/// Makes this process unreadable for others of the same user: no `/proc/<pid>/environ`, no debugger, no core dump.
pub fn forbid_inspection() -> io::Result<()> {
    Ok(nix::sys::prctl::set_dumpable(false)?)
}

fn without_options(args: impl Iterator<Item = OsString>, options: &[&str]) -> Vec<OsString> {
    let mut kept = Vec::new();
    let mut skip = false;
    for arg in args {
        if std::mem::take(&mut skip) {
            continue;
        }
        let is = |option: &&str| arg == OsStr::new(option);
        let has_value = |option: &&str| {
            arg.as_bytes().strip_prefix(option.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'='))
        };
        if options.iter().any(is) {
            skip = true;
        } else if !options.iter().any(has_value) {
            kept.push(arg);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_removed_from_the_arguments() {
        let args = ["start", "--key", "secret", "--name", "a", "--key=secret", "--key-file=x", "--keys"];
        let kept = without_options(args.map(OsString::from).into_iter(), &["--key"]);
        assert_eq!(kept, ["start", "--name", "a", "--key-file=x", "--keys"]);
    }

    #[test]
    fn the_key_is_taken_from_a_pipe() {
        let (read, write) = nix::unistd::pipe().unwrap();
        File::from(write).write_all(b"orgp_key\n").unwrap();
        let key = take_key(read.into_raw_fd()).unwrap();
        assert_eq!(key.expose(), "orgp_key");
        assert!(take_key(0).is_err());
    }
}

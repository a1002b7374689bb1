//! Unpacks a template's archive, trusting nothing in it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use tar::EntryType;

use crate::files::create_private;

/// All files of a template together.
pub(super) const MAX_UNPACKED: u64 = 100 * 1024 * 1024;
const MAX_ENTRIES: usize = 20_000;
/// Bytes of a header that extends the next one: the reader holds it in memory.
const MAX_EXTENSION: u64 = 64 * 1024;

/// Why an archive isn't unpacked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
    /// The archive is at fault.
    #[error("the template's archive is refused: {0}")]
    Refused(String),
    /// This machine is: no space, no more open files, a broken disk.
    #[error("the template can't be unpacked: {0}")]
    Io(#[from] io::Error),
}

/// What the system says of an entry: some names and sizes can't be unpacked anywhere, which is no fault of this machine.
fn broken(path: &Path) -> impl Fn(io::Error) -> ArchiveError {
    move |error| match error.raw_os_error().map(Errno::from_raw) {
        Some(
            Errno::ENAMETOOLONG
            | Errno::ENOTDIR
            | Errno::EISDIR
            | Errno::EEXIST
            | Errno::EINVAL
            | Errno::EILSEQ
            | Errno::ELOOP,
        ) => refused(path, &format!("can't be unpacked: {error}")),
        _ => ArchiveError::Io(error),
    }
}

fn refused(path: &Path, what: &str) -> ArchiveError {
    ArchiveError::Refused(format!("{:?} {what}", path.to_string_lossy()))
}

/// Unpacks regular files and directories below `into`. What Terraform would take for its own (a state, plugins, our
/// override) is left out: it comes from the server and from `init` only.
pub(crate) fn unpack(archive: &Path, into: &Path) -> Result<(), ArchiveError> {
    check_headers(archive)?;
    let mut tar = tar::Archive::new(File::open(archive)?);
    let mut left = MAX_UNPACKED;
    for entry in tar.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let name = entry.path().map_err(damaged)?.into_owned();
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            continue;
        }
        let path = local(&name)?;
        if path.as_os_str().is_empty() || is_engines_own(&path) {
            continue;
        }
        match kind {
            EntryType::Directory => create_private(&into.join(&path)).map_err(broken(&name))?,
            EntryType::Regular | EntryType::Continuous => {
                let size = entry.size();
                left = left.checked_sub(size).ok_or_else(|| {
                    ArchiveError::Refused(format!("it has more than {} MiB unpacked", MAX_UNPACKED >> 20))
                })?;
                let executable = entry.header().mode().is_ok_and(|mode| mode & 0o111 != 0);
                let target = into.join(&path);
                if let Some(parent) = target.parent() {
                    create_private(parent).map_err(broken(&name))?;
                }
                let mode = if executable { 0o700 } else { 0o600 };
                let mut options = OpenOptions::new();
                // A name that is there already, in this spelling or in one that the disk takes for it, is the archive's fault.
                options.write(true).create_new(true).mode(mode);
                let mut file = options.open(target).map_err(broken(&name))?;
                let copied = io::copy(&mut entry.by_ref().take(size), &mut file).map_err(broken(&name))?;
                if copied != size {
                    return Err(ArchiveError::Refused("it ends too early".to_owned()));
                }
            }
            EntryType::Symlink | EntryType::Link => return Err(refused(&name, "is a link")),
            EntryType::Char | EntryType::Block | EntryType::Fifo => return Err(refused(&name, "is a device")),
            _ => return Err(refused(&name, "is neither a file nor a directory")),
        }
    }
    Ok(())
}

fn damaged(error: io::Error) -> ArchiveError {
    ArchiveError::Refused(format!("it isn't a readable tar: {error}"))
}

/// Counts entries, and those with them that the reader takes for a part of the next one.
fn check_headers(archive: &Path) -> Result<(), ArchiveError> {
    let mut tar = tar::Archive::new(File::open(archive)?);
    for (number, entry) in tar.entries().map_err(damaged)?.raw(true).enumerate() {
        let entry = entry.map_err(damaged)?;
        if number >= MAX_ENTRIES {
            return Err(ArchiveError::Refused(format!("it has more than {MAX_ENTRIES} entries")));
        }
        let kind = entry.header().entry_type();
        let extends = kind.is_gnu_longname() || kind.is_gnu_longlink() || kind.is_pax_local_extensions();
        if extends && entry.size() > MAX_EXTENSION {
            return Err(ArchiveError::Refused(format!("it has an extended header of {} bytes", entry.size())));
        }
    }
    Ok(())
}

/// The path without `.`, if it stays below where it starts.
fn local(name: &Path) -> Result<PathBuf, ArchiveError> {
    if name.as_os_str().as_bytes().contains(&0) {
        return Err(refused(name, "has a NUL in its name"));
    }
    if name.to_str().is_none_or(|text| text.chars().any(char::is_control)) {
        return Err(refused(name, "has a name that isn't UTF-8 or has control characters"));
    }
    let mut path = PathBuf::new();
    for component in name.components() {
        match component {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            Component::ParentDir => return Err(refused(name, "contains `..`")),
            Component::RootDir | Component::Prefix(_) => return Err(refused(name, "is an absolute path")),
        }
    }
    Ok(path)
}

fn is_engines_own(path: &Path) -> bool {
    let Some(Component::Normal(first)) = path.components().next() else { return false };
    let first = first.to_string_lossy();
    // A directory of such a name would be in the way of the file.
    first == ".terraform" || first.contains(".tfstate") || first.starts_with("backend_override.t")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(add: impl FnOnce(&mut tar::Builder<&mut Vec<u8>>)) -> Result<Vec<String>, ArchiveError> {
        let dir = tempfile::tempdir().unwrap();
        let mut bytes = Vec::new();
        let mut builder = tar::Builder::new(&mut bytes);
        add(&mut builder);
        builder.finish().unwrap();
        drop(builder);
        let path = dir.path().join("a.tar");
        std::fs::write(&path, bytes).unwrap();
        let into = dir.path().join("into");
        create_private(&into).unwrap();
        unpack(&path, &into)?;
        let mut names: Vec<_> =
            std::fs::read_dir(&into).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        Ok(names)
    }

    fn entry(kind: EntryType, name: &str) -> tar::Header {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(1);
        // Past the builder's own checks.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_mode(0o644);
        header.set_cksum();
        header
    }

    #[test]
    fn files_are_unpacked_without_the_engines_own() {
        let names = archive(|b| {
            for name in [
                "./main.tf",
                "sub/x.tf",
                "terraform.tfstate",
                "terraform.tfstate/x",
                ".terraform/x",
                "backend_override.tofu",
            ] {
                b.append(&entry(EntryType::Regular, name), &b"x"[..]).unwrap();
            }
        });
        assert_eq!(names.unwrap(), ["main.tf", "sub"]);
    }

    #[test]
    fn what_could_leave_the_directory_is_refused() {
        let cases = [
            (EntryType::Regular, "../x", "`..`"),
            (EntryType::Regular, "a/../../x", "`..`"),
            (EntryType::Regular, "/etc/x", "absolute"),
            (EntryType::Symlink, "x", "link"),
            (EntryType::Link, "x", "link"),
            (EntryType::Char, "x", "device"),
            (EntryType::Fifo, "x", "device"),
        ];
        for (kind, name, word) in cases {
            let error = archive(|b| b.append(&entry(kind, name), &b"x"[..]).unwrap()).unwrap_err();
            assert!(error.to_string().contains(word), "{name}: {error}");
        }
    }

    #[test]
    fn what_no_disk_takes_is_the_archives_fault() {
        let long = format!("{}/x.tf", "n".repeat(300));
        let deep = "d/".repeat(3000) + "x.tf";
        for names in [vec![long.as_str()], vec![deep.as_str()], vec!["a", "a/b"], vec!["a/b", "a"]] {
            let error = archive(|b| {
                for name in &names {
                    let mut header = tar::Header::new_gnu();
                    header.set_size(1);
                    header.set_mode(0o644);
                    b.append_data(&mut header, name, &b"x"[..]).unwrap();
                }
            });
            let error = error.unwrap_err();
            assert!(matches!(error, ArchiveError::Refused(_)), "{error}");
        }
        let full = broken(Path::new("x"))(io::Error::from_raw_os_error(Errno::ENOSPC as i32));
        assert!(matches!(full, ArchiveError::Io(_)));
    }

    #[test]
    fn what_would_be_read_in_two_ways_is_refused() {
        for (names, word) in [(vec!["a", "a"], "exists"), (vec!["a", "./a"], "exists"), (vec!["a\nb"], "control")] {
            let error = archive(|b| {
                for name in &names {
                    b.append(&entry(EntryType::Regular, name), &b"x"[..]).unwrap();
                }
            });
            let error = error.unwrap_err().to_string();
            assert!(error.contains(word), "{names:?}: {error}");
        }
        let long = vec![b'a'; 100_000];
        for kind in [EntryType::GNULongName, EntryType::GNULongLink, EntryType::XHeader] {
            let mut header = entry(kind, "long");
            header.set_size(long.len() as u64);
            header.set_cksum();
            let error = archive(|b| b.append(&header, &long[..]).unwrap()).unwrap_err().to_string();
            assert!(error.contains("extended header"), "{kind:?}: {error}");
        }
    }

    /// Whatever bytes come, it ends without a panic and stays below where it may write.
    #[test]
    fn mutated_archives_stay_where_they_are_put() {
        use proptest::prelude::*;
        let base = {
            let mut builder = tar::Builder::new(Vec::new());
            for name in ["main.tf", "sub/x.tf"] {
                builder.append(&entry(EntryType::Regular, name), &b"x"[..]).unwrap();
            }
            builder.into_inner().unwrap()
        };
        let changes = prop::collection::vec((0..base.len(), any::<u8>(), any::<bool>()), 1..6);
        proptest!(ProptestConfig::with_cases(300), |(changes in changes, length in 0..=base.len())| {
            let mut bytes = base.clone();
            for (at, byte, in_names) in changes {
                bytes[if in_names { at % 100 } else { at }] = byte;
            }
            bytes.truncate(length);
            // Most changes break a checksum: put the first header's right, so that what follows it is looked at.
            if bytes.len() >= 512 {
                let sum: u32 = (0..512).map(|at| if (148..156).contains(&at) { 32 } else { u32::from(bytes[at]) }).sum();
                bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            }
            let dir = tempfile::tempdir().unwrap();
            let (path, into) = (dir.path().join("a.tar"), dir.path().join("into"));
            std::fs::write(&path, &bytes).unwrap();
            create_private(&into).unwrap();
            let _ = unpack(&path, &into);
            prop_assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "something was written beside it");
        });
    }

    #[test]
    fn garbage_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.tar");
        std::fs::write(&path, vec![7; 2000]).unwrap();
        assert!(matches!(unpack(&path, dir.path()), Err(ArchiveError::Refused(_))));
    }
}

//! Files and folders that nobody but their owner can read.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// Creates a directory and its parents, for the owner only.
pub(crate) fn create_private(path: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Makes a new directory in the place of whatever is there.
pub(crate) fn make_empty(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => create_private(path),
    }
}

/// Opens a file for reading and writing, created for the owner only.
pub(crate) fn private_file(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Writes a file that is either whole or not there.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let part = path.with_extension("part");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    fs::rename(part, path)
}

/// Creates a directory as [`create_private`] does; one that is there already must be this user's, and nobody else's to
/// write.
pub(crate) fn create_own(path: &Path) -> io::Result<()> {
    create_private(path)?;
    let about = fs::metadata(path)?;
    let refuse = |rule: String| Err(io::Error::new(io::ErrorKind::PermissionDenied, rule));
    let user = nix::unistd::geteuid().as_raw();
    if about.uid() != user {
        return refuse(format!("it belongs to user {}, not to user {user} who runs this", about.uid()));
    }
    if about.mode() & 0o022 != 0 {
        return refuse("other users can write into it; take that from them with `chmod go-w`".to_owned());
    }
    Ok(())
}

/// Lets everybody through a directory of this user's, who knows the name of what is in it.
pub(crate) fn let_through(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o711))
}

/// Keeps everybody but its owner out of a directory.
pub(crate) fn close(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
}

/// Whether everybody may go through the directory and all above it; else the first that is closed.
pub(crate) fn closed_to_others(path: &Path) -> Option<&Path> {
    let closed = |dir: &&Path| !fs::metadata(dir).is_ok_and(|about| about.mode() & 0o001 != 0);
    path.ancestors().find(closed)
}

/// Makes a file or directory another user's, if it isn't yet. Never follows a link.
pub(crate) fn give(path: &Path, (user, group): (u32, u32)) -> io::Result<()> {
    std::os::unix::fs::lchown(path, Some(user), Some(group))
}

/// The same with all that is below it. Blocks.
pub(crate) fn give_tree(path: &Path, owner: (u32, u32)) -> io::Result<()> {
    give(path, owner)?;
    if fs::symlink_metadata(path)?.is_dir() {
        for entry in fs::read_dir(path)? {
            give_tree(&entry?.path(), owner)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_others_can_write_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        create_own(&path).unwrap();
        create_own(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o770)).unwrap();
        let error = create_own(&path).unwrap_err().to_string();
        assert!(error.contains("go-w"), "{error}");
        assert_eq!(closed_to_others(&path), Some(path.as_path()));
        if nix::unistd::geteuid().is_root() {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
            give_tree(&path, (65534, 65534)).unwrap();
            assert!(create_own(&path).unwrap_err().to_string().contains("65534"));
        }
    }
}

//! Template archives by their content: each build of a workspace needs the same one again.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use orgplane_proto::provisioner::v1::Reference;
use sha2::{Digest as _, Sha256};

use crate::files::create_private;
use crate::foreign;
use crate::session::bytes::hex;

/// The oldest archives go when all together are longer.
const MAX_BYTES: u64 = 512 * 1024 * 1024;

/// A directory that daemons may share.
#[derive(Debug, Clone)]
pub(crate) struct Cache(PathBuf);

impl Cache {
    pub(crate) fn new(cache_dir: &Path) -> Self {
        Self(cache_dir.join("archives"))
    }

    /// The archive's place; `None` for a name that is no SHA-256, which is never a path.
    fn place(&self, reference: &Reference) -> Option<PathBuf> {
        let name = reference.sha256.as_str();
        let is_hash = name.len() == 64 && name.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'));
        is_hash.then(|| self.0.join(name))
    }

    /// Puts the archive at `to` if it is here and whole. Blocks.
    pub(crate) fn get(&self, reference: &Reference, to: &Path) -> bool {
        let Some(place) = self.place(reference) else { return false };
        let copied = || -> io::Result<bool> {
            let mut file = foreign::open(&place)?;
            if digest(&mut file)? != reference.sha256 {
                fs::remove_file(&place)?;
                return Ok(false);
            }
            file.set_modified(SystemTime::now())?;
            link_or_copy(&place, to)?;
            Ok(true)
        };
        copied().unwrap_or(false)
    }

    /// Keeps the archive that is at `from`. Blocks. A failure costs a download later.
    pub(crate) fn put(&self, reference: &Reference, from: &Path) {
        let Some(place) = self.place(reference) else { return };
        let kept = create_private(&self.0).and_then(|()| link_or_copy(from, &place)).and_then(|()| self.trim());
        if let Err(error) = kept {
            tracing::debug!(%error, "can't keep an archive in the cache");
        }
    }

    fn trim(&self) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            let about = entry.metadata()?;
            files.push((about.modified()?, about.len(), entry.path()));
        }
        files.sort();
        let mut total: u64 = files.iter().map(|(_, size, _)| size).sum();
        for (_, size, path) in files {
            if total <= MAX_BYTES {
                break;
            }
            fs::remove_file(path)?;
            total -= size;
        }
        Ok(())
    }
}

fn digest(file: &mut File) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut chunk = vec![0; 64 * 1024];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(hex(&hash.finalize())),
            read => hash.update(chunk.get(..read).unwrap_or_default()),
        }
    }
}

fn link_or_copy(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            // Whole or not there, for another daemon may look.
            let part = to.with_extension(format!("part-{}", std::process::id()));
            fs::copy(from, &part)?;
            fs::rename(part, to)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_archives_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(dir.path());
        let from = dir.path().join("from");
        fs::write(&from, "archive").unwrap();
        let reference = Reference { sha256: hex(&Sha256::digest("archive")), size: 7 };
        assert!(!cache.get(&reference, &dir.path().join("a")));
        cache.put(&reference, &from);
        cache.put(&reference, &from);
        let to = dir.path().join("b");
        assert!(cache.get(&reference, &to));
        assert_eq!(fs::read(&to).unwrap(), b"archive");

        fs::write(cache.place(&reference).unwrap(), "damaged").unwrap();
        assert!(!cache.get(&reference, &dir.path().join("c")));
        assert!(!cache.place(&reference).unwrap().exists());
        let evil = Reference { sha256: "../../etc/passwd".to_owned(), size: 1 };
        assert_eq!(cache.place(&evil), None);
    }
}

//! Keeps the cache of plugins from growing without end: providers publish a version every other week.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A version that no job has used for so long is removed.
const UNUSED: Duration = Duration::from_secs(30 * 24 * 3600);
/// Host, namespace, type, version.
const DEPTH: usize = 4;

/// Notes which versions the job uses, and removes those that none has used for long. Under the cache's lock. Blocks.
pub(super) fn tidy(cache: &Path, work: &Path) -> io::Result<()> {
    let now = SystemTime::now();
    let used = versions(&work.join(".terraform/providers"))?;
    for version in versions(cache)? {
        let path = cache.join(&version);
        if used.contains(&version) {
            File::open(path)?.set_modified(now)?;
        } else if now.duration_since(fs::symlink_metadata(&path)?.modified()?).is_ok_and(|age| age > UNUSED) {
            tracing::info!(directory = %path.display(), "an unused provider is removed from the cache");
            fs::remove_dir_all(path)?;
        }
    }
    Ok(())
}

/// The directories of versions, relative to where they are. Never through a link: the cache may be an engine's user's.
fn versions(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = vec![PathBuf::new()];
    for _ in 0..DEPTH {
        let mut below = Vec::new();
        for parent in found {
            let path = root.join(&parent);
            if is_directory(&path) {
                for entry in fs::read_dir(path)? {
                    below.push(parent.join(entry?.file_name()));
                }
            }
        }
        found = below;
    }
    found.retain(|version| is_directory(&root.join(version)));
    Ok(found)
}

fn is_directory(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|about| about.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unused_for_long_goes() {
        let dir = tempfile::tempdir().unwrap();
        let (cache, work, other) = (dir.path().join("cache"), dir.path().join("work"), dir.path().join("other"));
        let aged = |path: PathBuf, days: u64| {
            fs::create_dir_all(path.join("linux_amd64")).unwrap();
            let then = SystemTime::now() - Duration::from_secs(days * 24 * 3600);
            File::open(&path).unwrap().set_modified(then).unwrap();
        };
        for (version, days) in [("1.0.0", 40), ("1.1.0", 40), ("1.2.0", 10)] {
            aged(cache.join("registry/x/y").join(version), days);
        }
        aged(other.join("z/1.0.0"), 40);
        std::os::unix::fs::symlink(&other, cache.join("registry/linked")).unwrap();
        fs::create_dir_all(work.join(".terraform/providers/registry/x/y/1.1.0/linux_amd64")).unwrap();
        for _ in 0..2 {
            tidy(&cache, &work).unwrap();
            let names = fs::read_dir(cache.join("registry/x/y")).unwrap().map(|e| e.unwrap().file_name());
            let mut left: Vec<_> = names.collect();
            left.sort();
            assert_eq!(left, ["1.1.0", "1.2.0"]);
            assert!(other.join("z/1.0.0").exists(), "what isn't the cache's stays");
            fs::remove_dir_all(work.join(".terraform")).unwrap_or_default();
        }
        tidy(&dir.path().join("none"), &work).unwrap();
    }
}

//! The upload of a template: a folder's files in a tar archive, the same files always as the same bytes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::error::Usage;
use crate::printable::printable_line;

/// What a server takes at most, in bytes.
const MOST: u64 = 100 * 1024 * 1024;
/// Kept although its name begins with a dot.
const LOCK_FILE: &str = ".terraform.lock.hcl";

/// An archive in memory.
pub(crate) struct Archive {
    pub(crate) bytes: Vec<u8>,
    pub(crate) files: usize,
}

/// Packs a folder. Left out are names that begin with a dot, but for Terraform's lock file, and Terraform states.
pub(crate) fn pack(folder: &Path) -> Result<Archive> {
    let shown = printable_line(&folder.display().to_string());
    let root = match folder.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Usage::new(format!("--directory: there is no folder {shown}")).into());
        }
        root => root.with_context(|| format!("--directory: can't open {shown}"))?,
    };
    if !root.is_dir() {
        return Err(Usage::new(format!("--directory: {shown} is no folder")).into());
    }
    let mut packer = Packer { tar: tar::Builder::new(Vec::new()), root: root.clone(), files: 0, size: 0 };
    packer.folder(&root, Path::new(""))?;
    if packer.files == 0 {
        return Err(Usage::new(format!("--directory: {shown} has no file to upload")).into());
    }
    Ok(Archive { bytes: packer.tar.into_inner()?, files: packer.files })
}

struct Packer {
    tar: tar::Builder<Vec<u8>>,
    root: PathBuf,
    files: usize,
    size: u64,
}

impl Packer {
    fn folder(&mut self, folder: &Path, within: &Path) -> Result<()> {
        let named = |path: &Path| printable_line(&path.display().to_string());
        let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut entries = entries.with_context(|| format!("can't read the folder {}", named(folder)))?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let (path, name) = (entry.path(), entry.file_name());
            let Some(name) = name.to_str() else { bail!("rename {}: the name isn't UTF-8", named(&path)) };
            if is_left_out(name) {
                continue;
            }
            let within = within.join(name);
            let what = fs::metadata(&path).with_context(|| format!("can't read {}", named(&path)))?;
            if entry.file_type().is_ok_and(|entry| entry.is_symlink()) {
                let inside = path.canonicalize().is_ok_and(|target| target.starts_with(&self.root));
                if !inside || !what.is_file() {
                    bail!(
                        "replace the link {} by what it links to: it leaves the folder or is of a folder",
                        named(&path)
                    );
                }
            }
            if what.is_dir() {
                self.folder(&path, &within)?;
            } else if what.is_file() {
                self.size += what.len();
                if self.size > MOST {
                    bail!("upload less: with {} it is more than the 100 MiB that a server takes", named(&path));
                }
                let content = fs::read(&path).with_context(|| format!("can't read {}", named(&path)))?;
                self.file(&within, &what, &content).with_context(|| format!("can't pack {}", named(&path)))?;
            } else {
                bail!("remove {}: it is neither a file nor a folder", named(&path));
            }
        }
        Ok(())
    }

    fn file(&mut self, within: &Path, what: &fs::Metadata, content: &[u8]) -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt as _;
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        // Nothing else of the file's metadata: an unchanged folder is an unchanged archive.
        header.set_mode(if what.permissions().mode() & 0o111 == 0 { 0o644 } else { 0o755 });
        self.files += 1;
        self.tar.append_data(&mut header, within, content)
    }
}

fn is_left_out(name: &str) -> bool {
    let state = Path::new(name).extension().is_some_and(|extension| extension == "tfstate");
    (name.starts_with('.') && name != LOCK_FILE) || state || name.contains(".tfstate.")
}

/// A size for people.
pub(crate) fn size(bytes: usize) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read as _;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn files(archive: &Archive) -> BTreeMap<String, (u32, String)> {
        let mut tar = tar::Archive::new(archive.bytes.as_slice());
        let read = |entry: io::Result<tar::Entry<'_, &[u8]>>| {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            (entry.path().unwrap().display().to_string(), (entry.header().mode().unwrap(), text))
        };
        tar.entries().unwrap().map(read).collect()
    }

    #[test]
    fn a_folder_is_packed_without_what_is_not_the_templates() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let long = format!("modules/{}/{}.tf", "d".repeat(90), "f".repeat(120));
        for name in ["main.tf", "scripts/run.sh", LOCK_FILE, ".git/config", ".env", "terraform.tfstate", &long] {
            write(name, name);
        }
        write("old.tfstate.backup", "");
        write(".terraform/providers/x", "");
        symlink("main.tf", dir.path().join("same.tf")).unwrap();
        fs::set_permissions(dir.path().join("scripts/run.sh"), fs::Permissions::from_mode(0o700)).unwrap();
        let packed = pack(dir.path()).unwrap();
        let found = files(&packed);
        let names: Vec<_> = found.keys().map(String::as_str).collect();
        assert_eq!(names, [LOCK_FILE, "main.tf", &long, "same.tf", "scripts/run.sh"]);
        assert_eq!(packed.files, 5);
        assert_eq!(found["same.tf"], (0o644, "main.tf".to_owned()));
        assert_eq!(found["scripts/run.sh"].0, 0o755);
        // Touching a file changes nothing.
        write("main.tf", "main.tf");
        assert_eq!(pack(dir.path()).unwrap().bytes, packed.bytes);
    }

    #[test]
    fn what_cannot_be_packed_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let says = |path: &Path| pack(path).err().unwrap();
        assert!(says(dir.path()).is::<Usage>(), "an empty folder");
        assert!(says(&dir.path().join("nowhere")).is::<Usage>());
        let file = dir.path().join("file");
        fs::write(&file, "x").unwrap();
        assert!(says(&file).to_string().contains("is no folder"));
        for target in ["/etc/hostname", "nowhere", "."] {
            let link = dir.path().join("link");
            symlink(target, &link).unwrap();
            let error = says(dir.path());
            assert!(format!("{error:#}").contains("link"), "{target}: {error:#}");
            fs::remove_file(link).unwrap();
        }
        nix::unistd::mkfifo(&dir.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(says(dir.path()).to_string().contains("pipe"));
    }

    #[test]
    fn sizes_are_for_people() {
        assert_eq!([0, 1023, 1536, 5 << 20].map(size), ["0 B", "1023 B", "1.5 KiB", "5.0 MiB"]);
    }
}

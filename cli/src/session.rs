//! What `orgplane login` remembers: the server's URL and the session token, in the user's configuration folder.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};

use crate::args::Connection;
use crate::environment;
use crate::error::Usage;

/// A server with a token for it.
pub(crate) struct Session {
    pub(crate) url: String,
    pub(crate) token: String,
}

/// The session token that the flags give.
pub(crate) fn given(connection: &Connection) -> Result<Option<String>> {
    if let Some(token) = &connection.token {
        tracing::warn!(
            "other users of this machine could read the token on the command line; use --token-file or the environment"
        );
        return Ok(Some(token.clone()));
    }
    let Some(file) = &connection.token_file else { return Ok(None) };
    let text = if file.as_os_str() == "-" { io::read_to_string(io::stdin()) } else { fs::read_to_string(file) };
    let text = text.with_context(|| format!("--token-file: can't read {}", file.display()))?;
    match text.trim() {
        "" => Err(Usage::new(format!("--token-file: {} is empty", file.display())).into()),
        token => Ok(Some(token.to_owned())),
    }
}

/// Whether flags or the environment give a token.
pub(crate) fn is_given(connection: &Connection) -> bool {
    let by_flag = connection.token.is_some() || connection.token_file.is_some();
    by_flag || environment::first(environment::SESSION_TOKEN).is_some()
}

/// The remembered session, if there is one.
pub(crate) fn load() -> Result<Option<Session>> {
    environment::config_dir().map_or(Ok(None), |dir| load_from(&dir))
}

/// Remembers a session, readable by its user only.
pub(crate) fn store(session: &Session) -> Result<PathBuf> {
    let dir = environment::config_dir().ok_or_else(|| anyhow!("set HOME or XDG_CONFIG_HOME to an absolute path"))?;
    store_in(&dir, session)?;
    Ok(dir)
}

/// Forgets the remembered session, but not its server; whether there was one.
pub(crate) fn forget() -> Result<bool> {
    environment::config_dir().map_or(Ok(false), |dir| forget_in(&dir))
}

fn forget_in(dir: &Path) -> Result<bool> {
    let file = dir.join("session");
    match fs::remove_file(&file) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("can't remove {}", file.display())),
    }
}

fn load_from(dir: &Path) -> Result<Option<Session>> {
    let read = |name: &str| -> Result<Option<String>> {
        let path = dir.join(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("can't read {}", path.display())),
        }
    };
    Ok(read("url")?.zip(read("session")?).map(|(url, token)| Session { url, token }))
}

fn store_in(dir: &Path, session: &Session) -> Result<()> {
    let written = || format!("can't write to {}", dir.display());
    DirBuilder::new().recursive(true).mode(0o700).create(dir).with_context(written)?;
    // The old token must never stand beside the new URL.
    match fs::remove_file(dir.join("session")) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error).with_context(written),
        _ => {}
    }
    write_private(&dir.join("url"), &session.url).with_context(written)?;
    write_private(&dir.join("session"), &session.token).with_context(written)
}

/// Writes a file that only its owner can read and that is either whole or the old one.
pub(crate) fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let part = path.with_extension("part");
    match fs::remove_file(&part) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    fs::rename(part, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::args::{Args, Command, ListOrganizations, Organizations};

    #[test]
    fn a_token_comes_from_its_file_whole() {
        use clap::Parser as _;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        let read = || {
            let line = ["orgplane", "org", "ls", "--token-file", file.to_str().unwrap()];
            let Command::Organizations(Organizations::List(ListOrganizations { connection, .. })) =
                Args::parse_from(line).command
            else {
                panic!()
            };
            given(&connection)
        };
        assert!(read().unwrap_err().to_string().contains("--token-file"));
        fs::write(&file, " \n").unwrap();
        assert!(read().unwrap_err().is::<Usage>());
        fs::write(&file, "secret\n").unwrap();
        assert_eq!(read().unwrap().as_deref(), Some("secret"));
    }

    #[test]
    fn a_session_is_private_and_comes_back() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("config/orgplane");
        assert!(load_from(&dir).unwrap().is_none());
        for token in ["first", "second"] {
            store_in(&dir, &Session { url: "http://127.0.0.1:1".to_owned(), token: token.to_owned() }).unwrap();
            let session = load_from(&dir).unwrap().unwrap();
            assert_eq!((session.url.as_str(), session.token.as_str()), ("http://127.0.0.1:1", token));
        }
        assert!(forget_in(&home.path().join("nowhere")).is_ok_and(|was| !was));
        for (file, mode) in [("session", 0o600), ("url", 0o600), ("", 0o700)] {
            assert_eq!(fs::metadata(dir.join(file)).unwrap().permissions().mode() & 0o777, mode, "{file}");
        }
        assert!(forget_in(&dir).unwrap());
        assert!(load_from(&dir).unwrap().is_none() && dir.join("url").exists());
    }
}

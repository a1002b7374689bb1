//! Environment variables that clap can't read for us: settings with a second, documented name, and secrets, for which it
//! matters whether they stood on the command line.

use std::path::{Path, PathBuf};

/// Names of the server's address.
pub(crate) const URL: &[&str] = &["ORGPLANE_URL", "CODER_URL"];
/// Names of the URL at which people and programs reach a server.
pub(crate) const ACCESS_URL: &[&str] = &["ORGPLANE_ACCESS_URL", "CODER_ACCESS_URL"];
/// Names of a user's session token.
pub(crate) const SESSION_TOKEN: &[&str] = &["ORGPLANE_SESSION_TOKEN", "CODER_SESSION_TOKEN"];
/// Names of an organization's name or id.
pub(crate) const ORGANIZATION: &[&str] = &["ORGPLANE_ORGANIZATION", "CODER_ORGANIZATION"];
/// Names of a daemon's provisioner key.
pub(crate) const DAEMON_KEY: &[&str] = &["ORGPLANE_PROVISIONER_DAEMON_KEY", "CODER_PROVISIONER_DAEMON_KEY"];
/// Names of a file with a daemon's provisioner key.
pub(crate) const DAEMON_KEY_FILE: &[&str] = &["ORGPLANE_PROVISIONER_DAEMON_KEY_FILE"];
/// Names of a daemon's name.
pub(crate) const DAEMON_NAME: &[&str] = &["ORGPLANE_PROVISIONER_DAEMON_NAME", "CODER_PROVISIONER_DAEMON_NAME"];
/// Names of the database's URL.
pub(crate) const DATABASE_URL: &[&str] = &["ORGPLANE_DATABASE_URL"];
/// Names of the URL at which servers hear of each other.
pub(crate) const DATABASE_LISTEN_URL: &[&str] = &["ORGPLANE_DATABASE_LISTEN_URL"];
/// Names of the password to sign in with.
pub(crate) const PASSWORD: &[&str] = &["ORGPLANE_PASSWORD"];

/// The value of the first of these variables that is set and not empty.
pub(crate) fn first(names: &[&str]) -> Option<String> {
    first_of(names, |name| std::env::var(name).ok())
}

fn first_of(names: &[&str], lookup: impl Fn(&str) -> Option<String>) -> Option<String> {
    names.iter().find_map(|name| lookup(name).filter(|value| !value.is_empty()))
}

/// The user's folder for settings of this program.
pub(crate) fn config_dir() -> Option<PathBuf> {
    user_dir("XDG_CONFIG_HOME", ".config")
}

/// The user's folder for data of this program.
pub(crate) fn data_dir() -> Option<PathBuf> {
    user_dir("XDG_DATA_HOME", ".local/share")
}

fn user_dir(variable: &str, below_home: &str) -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute(variable).or_else(|| absolute("HOME").map(|home| home.join(Path::new(below_home))))?;
    Some(base.join("orgplane"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_name_wins_and_empty_is_unset() {
        let both = |name: &str| Some(format!("value of {name}"));
        assert_eq!(first_of(URL, both).unwrap(), "value of ORGPLANE_URL");
        let documented = |name: &str| (name == "CODER_URL").then(|| "documented".to_owned());
        assert_eq!(first_of(URL, documented).unwrap(), "documented");
        let empty = |name: &str| Some(if name == "ORGPLANE_URL" { String::new() } else { "documented".to_owned() });
        assert_eq!(first_of(URL, empty).unwrap(), "documented");
        assert_eq!(first_of(URL, |_| None), None);
    }
}

//! The daemon's settings, with their defaults and rules.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use orgplane_client::Remote;
use zeroize::Zeroizing;

use crate::{Error, Vitals};

pub(crate) const USER_AGENT: &str = concat!("orgplane-daemon/", env!("CARGO_PKG_VERSION"));

/// The server registers no daemon with more slots.
pub const MAX_CAPACITY: u32 = 1000;

/// Text that is never shown and is wiped from memory after use.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps the text, without white space around it.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(Zeroizing::new(text.trim().to_owned()))
    }

    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A kind of engine that a daemon can offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EngineKind {
    /// Terraform or OpenTofu.
    Terraform,
    /// Scripted results, for tests and demonstrations.
    Echo,
}

impl EngineKind {
    /// The name under which jobs ask for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Terraform => "terraform",
            Self::Echo => "echo",
        }
    }
}

impl std::str::FromStr for EngineKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "terraform" => Ok(Self::Terraform),
            "echo" => Ok(Self::Echo),
            _ => Err(rule("engine", format!("{text:?} is neither `terraform` nor `echo`"))),
        }
    }
}

/// The command that runs [`crate::shim`]; the step's directory is added as its last argument.
#[derive(Debug, Clone)]
pub struct ShimCommand {
    /// The program, by default this one.
    pub program: PathBuf,
    /// Its arguments before the directory.
    pub args: Vec<OsString>,
}

/// The default of [`Config::engine_memory`]: many times what Terraform and its largest providers need.
pub const ENGINE_MEMORY: u64 = 4 << 30;

/// How long the daemon waits for things.
#[derive(Debug, Clone)]
pub struct Intervals {
    /// The longest first wait before a reconnect; the actual one is random below it.
    pub backoff_min: Duration,
    /// The longest wait before a reconnect at all.
    pub backoff_max: Duration,
    /// From the interrupt of an engine that changes nothing to its kill.
    pub plan_grace: Duration,
    /// From the interrupt of an engine that applies to its kill.
    pub apply_grace: Duration,
    /// How long running jobs may take after the daemon was told to drain, before they are interrupted.
    pub drain: Duration,
}

impl Default for Intervals {
    fn default() -> Self {
        Self {
            backoff_min: Duration::from_millis(500),
            backoff_max: Duration::from_secs(30),
            plan_grace: Duration::from_secs(30),
            apply_grace: Duration::from_secs(300),
            drain: Duration::from_secs(30 * 60),
        }
    }
}

/// An account of this machine that engines run as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineUser {
    /// For people; the number where it has no name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Its home directory, where it has one.
    pub home: Option<PathBuf>,
}

impl EngineUser {
    /// Reads names, numbers and ranges of numbers (`200000-200003`), separated by commas. A number that no account has is
    /// its own group.
    pub fn parse(text: &str) -> Result<Vec<Self>, Error> {
        let mut users = Vec::new();
        for part in text.split(',').map(str::trim) {
            let range = part.split_once('-').unwrap_or((part, part));
            match (range.0.parse::<u32>(), range.1.parse::<u32>()) {
                (Ok(first), Ok(last)) if first <= last && last - first < MAX_CAPACITY => {
                    users.extend((first..=last).map(Self::of_number));
                }
                (Ok(_), Ok(_)) => {
                    return Err(rule("engine-user", format!("{part:?} is no range of up to {MAX_CAPACITY}")));
                }
                _ => users.push(Self::of_name(part)?),
            }
        }
        Ok(users)
    }

    fn of_number(uid: u32) -> Self {
        let known = nix::unistd::User::from_uid(uid.into()).ok().flatten();
        known.map_or_else(|| Self { name: uid.to_string(), uid, gid: uid, home: None }, Self::from)
    }

    fn of_name(name: &str) -> Result<Self, Error> {
        let known = nix::unistd::User::from_name(name).ok().flatten();
        known.map(Self::from).ok_or_else(|| rule("engine-user", format!("this machine has no user {name:?}")))
    }
}

impl From<nix::unistd::User> for EngineUser {
    fn from(user: nix::unistd::User) -> Self {
        Self { name: user.name, uid: user.uid.as_raw(), gid: user.gid.as_raw(), home: Some(user.dir) }
    }
}

/// All settings of a daemon.
#[derive(Debug, Clone)]
pub struct Config {
    /// The server's address, such as `https://orgplane.example.com`, and the way there.
    pub server: orgplane_client::Options,
    /// The server's address as templates are told it; by default the same.
    pub access_url: Option<String>,
    /// The organization's provisioner key.
    pub key: Secret,
    /// Shown to people; by default the host's name without its domain.
    pub name: String,
    /// The organization's name or id that the key is expected to be of; `None` takes any.
    pub organization: Option<String>,
    /// Jobs at a time, 1 to 1000.
    pub capacity: u32,
    /// The engines to offer. Echo is offered only when it is named here.
    pub engines: BTreeSet<EngineKind>,
    /// The Terraform or OpenTofu program; `None` looks for `terraform`, then `tofu` on PATH.
    pub terraform_path: Option<PathBuf>,
    /// Where downloaded provider plugins are kept; daemons may share it.
    pub cache_dir: PathBuf,
    /// Where jobs run; one daemon's own, locked while it runs.
    pub work_dir: PathBuf,
    /// Accounts that engines run as, one job each at a time; empty: as the daemon itself. Needs root.
    pub engine_users: Vec<EngineUser>,
    /// What templates get of the daemon's environment beyond [`crate::ENVIRONMENT`]: names, or `AWS_*` for all variables
    /// that begin so. The daemon's own settings are never passed on.
    pub engine_env: Vec<String>,
    /// Bytes of memory that each process of an engine may have; `None`: as many as the machine has.
    pub engine_memory: Option<u64>,
    /// How an engine's shim is started.
    pub shim: ShimCommand,
    /// Ends after one job.
    pub run_once: bool,
    /// Ends when it had no job for so long.
    pub idle_exit: Option<Duration>,
    /// Waits and graces.
    pub intervals: Intervals,
    /// Where the daemon shows how it is.
    pub vitals: Vitals,
}

impl Config {
    /// The defaults for a server and a key.
    pub fn new(url: impl Into<String>, key: Secret) -> Result<Self, Error> {
        let program = std::env::current_exe().map_err(Error::io("the program's own file"))?;
        let user = |variable: &str, fallback: &str| {
            std::env::var_os(variable)
                .map(PathBuf::from)
                .filter(|p| p.is_absolute())
                .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(fallback)))
                // Refused unless another is named: a place that others can guess is no place for states.
                .filter(|p| p.is_absolute())
        };
        let args = ["provisioner", "shim", "--dir"].map(OsString::from).to_vec();
        Ok(Self {
            server: orgplane_client::Options { url: url.into(), ..Default::default() },
            access_url: None,
            key,
            name: default_name(),
            organization: None,
            capacity: 1,
            engines: BTreeSet::from([EngineKind::Terraform]),
            terraform_path: None,
            cache_dir: user("XDG_CACHE_HOME", ".cache").map(|p| p.join("orgplane")).unwrap_or_default(),
            work_dir: user("XDG_DATA_HOME", ".local/share").map(|p| p.join("orgplane/provisioner")).unwrap_or_default(),
            engine_users: Vec::new(),
            engine_env: Vec::new(),
            engine_memory: Some(ENGINE_MEMORY),
            shim: ShimCommand { program, args },
            run_once: false,
            idle_exit: None,
            intervals: Intervals::default(),
            vitals: Vitals::default(),
        })
    }

    /// Checks every rule; [`crate::run`] does it too.
    pub fn validate(&self) -> Result<(), Error> {
        Remote::new(&self.server, USER_AGENT, |endpoint| endpoint)?;
        if self.key.expose().is_empty() {
            return Err(rule("key", "must not be empty; create one with `orgplane provisioner keys create`"));
        }
        if !self.key.expose().bytes().all(|b| b.is_ascii_graphic()) {
            return Err(rule("key", "has characters that no provisioner key has; is it complete and on one line?"));
        }
        check_name(&self.name)?;
        if !(1..=MAX_CAPACITY).contains(&self.capacity) {
            return Err(rule("capacity", format!("must be 1 to {MAX_CAPACITY}")));
        }
        if self.run_once && self.capacity > 1 {
            return Err(rule("run-once", "a daemon that ends after one job has a --capacity of 1"));
        }
        if self.engines.is_empty() {
            return Err(rule("engine", "name at least one of `terraform` and `echo`"));
        }
        for (field, path) in [("cache-dir", &self.cache_dir), ("work-dir", &self.work_dir)] {
            if path.as_os_str().is_empty() {
                return Err(rule(field, format!("neither HOME nor XDG is set; name a directory with --{field}")));
            }
            if !path.is_absolute() {
                return Err(rule(field, format!("{} is not an absolute path", path.display())));
            }
        }
        self.check_engine_users()?;
        let is_name = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if let Some(wrong) = self.engine_env.iter().find(|n| n.is_empty() || !is_name(n.strip_suffix('*').unwrap_or(n)))
        {
            let wrong = format!("{wrong:?} is neither a variable's name nor the beginning of one with * behind it");
            return Err(rule("engine-env", wrong));
        }
        if self.intervals.backoff_min.is_zero() || self.intervals.backoff_max < self.intervals.backoff_min {
            return Err(rule("backoff", "the shortest must be over zero and not over the longest"));
        }
        Ok(())
    }

    fn check_engine_users(&self) -> Result<(), Error> {
        let users = &self.engine_users;
        if users.is_empty() {
            return Ok(());
        }
        if !nix::unistd::geteuid().is_root() {
            return Err(rule("engine-user", "only a daemon that runs as root can run engines as another user"));
        }
        if users.iter().any(|user| user.uid == 0) {
            return Err(rule("engine-user", "root isn't another user"));
        }
        let distinct: BTreeSet<u32> = users.iter().map(|user| user.uid).collect();
        if distinct.len() < self.capacity as usize || distinct.len() < users.len() {
            let rules = "name as many different users as --capacity, so that jobs can't read each other's files";
            return Err(rule("engine-user", rules));
        }
        Ok(())
    }
}

fn rule(field: &'static str, rule: impl Into<String>) -> Error {
    Error::Config { field, rule: rule.into() }
}

/// Checks a daemon's name: 1 to 64 letters, digits, hyphens, underscores and dots.
///
/// # Errors
/// [`Error::Config`].
pub fn check_name(name: &str) -> Result<(), Error> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if (1..=64).contains(&name.len()) && name.bytes().all(allowed) {
        return Ok(());
    }
    Err(rule("name", format!("{name:?} is not 1 to 64 letters, digits, hyphens, underscores and dots")))
}

/// The host's name without its domain, or what stands for one that can't be a daemon's.
#[must_use]
pub fn default_name() -> String {
    let host = nix::unistd::gethostname().ok().and_then(|h| h.into_string().ok()).unwrap_or_default();
    let short = host.split('.').next().unwrap_or_default();
    if check_name(short).is_ok() { short.to_owned() } else { "provisioner".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config::new("http://127.0.0.1:3000", Secret::new("orgp_abc\n")).unwrap()
    }

    #[test]
    fn the_defaults_are_valid_and_secrets_hidden() {
        let config = config();
        config.validate().unwrap();
        assert!(!format!("{config:?}").contains("orgp_abc"));
        assert_eq!(config.key.expose(), "orgp_abc");
    }

    #[test]
    fn engine_users_are_read() {
        let users = EngineUser::parse("nobody, 3000000-3000002").unwrap();
        let found: Vec<_> = users.iter().skip(1).map(|u| (u.uid, u.gid, u.home.is_some())).collect();
        assert_eq!(found, [3_000_000, 3_000_001, 3_000_002].map(|id| (id, id, false)));
        assert_eq!((users[0].name.as_str(), users[0].uid > 0), ("nobody", true));
        for bad in ["", "no such user", "5-4", "1-100000"] {
            assert!(EngineUser::parse(bad).unwrap_err().to_string().starts_with("engine-user"), "{bad}");
        }
        let mut config = config();
        config.engine_users = EngineUser::parse("3000000").unwrap();
        config.capacity = 2;
        assert!(config.validate().unwrap_err().to_string().starts_with("engine-user"));
    }

    #[test]
    fn each_rule_names_its_field() {
        type Change = fn(&mut Config);
        let broken: [(&str, Change); 10] = [
            ("url", |c| c.server.url = "http://10.0.0.1".to_owned()),
            ("url", |c| c.server.url = "ftp://x".to_owned()),
            ("url", |c| c.server.url = "https://host/path".to_owned()),
            ("key", |c| c.key = Secret::new("  ")),
            ("name", |c| c.name = "has space".to_owned()),
            ("capacity", |c| c.capacity = 0),
            ("capacity", |c| c.capacity = 1001),
            ("run-once", |c| (c.run_once, c.capacity) = (true, 2)),
            ("work-dir", |c| c.work_dir = PathBuf::new()),
            ("work-dir", |c| c.work_dir = PathBuf::from("relative")),
        ];
        for (field, change) in broken {
            let mut config = config();
            change(&mut config);
            let error = config.validate().unwrap_err().to_string();
            assert!(error.starts_with(field), "{error}");
        }
        assert!(check_name(&"x".repeat(65)).is_err());
    }
}

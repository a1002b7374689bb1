//! Finds Terraform or OpenTofu.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::unistd::{AccessFlags, access};
use tokio::process::Command;

use super::environment;

const OLDEST: Version = Version(1, 4, 0);
const PROBE_LIMIT: Duration = Duration::from_secs(20);

/// Major, minor, patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(pub(crate) u32, pub(crate) u32, pub(crate) u32);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// A program that was found to work.
#[derive(Debug, Clone)]
pub(crate) struct Binary {
    pub(crate) path: PathBuf,
    /// Else it is Terraform.
    pub(crate) opentofu: bool,
    pub(crate) version: Version,
}

impl Binary {
    /// The configured program, else `terraform`, else `tofu` from PATH. The error says what was tried.
    pub(crate) async fn find(configured: Option<&Path>) -> Result<Self, String> {
        if let Some(path) = configured {
            // A bare name is looked up as in a shell.
            let named = path.to_str().filter(|name| !name.contains('/')).and_then(on_path);
            let path = named.map_or_else(|| std::path::absolute(path), Ok).map_err(|e| e.to_string())?;
            return Self::probe(&path).await;
        }
        let mut tried = Vec::new();
        for name in ["terraform", "tofu"] {
            match on_path(name) {
                None => tried.push(format!("`{name}` isn't on PATH")),
                Some(path) => match Self::probe(&path).await {
                    Ok(binary) => return Ok(binary),
                    Err(error) => tried.push(error),
                },
            }
        }
        Err(tried.join(", "))
    }

    /// Runs the program and asks for its version.
    pub(crate) async fn probe(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let running = Command::new(path)
            .arg("version")
            .env_clear()
            .envs(environment::base(std::env::vars_os(), &[], &BTreeMap::new()))
            .current_dir("/")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = match tokio::time::timeout(PROBE_LIMIT, running).await {
            Err(_) => return Err(format!("{shown} didn't answer within {} seconds", PROBE_LIMIT.as_secs())),
            Ok(Err(error)) => return Err(format!("{shown}: {error}")),
            Ok(Ok(output)) => output,
        };
        let text = String::from_utf8_lossy(&output.stdout);
        let Some((opentofu, version)) = parse(&text) else {
            return Err(format!("{shown} is neither Terraform nor OpenTofu"));
        };
        if version < OLDEST {
            return Err(format!("{shown} has version {version}, older than {OLDEST}"));
        }
        Ok(Self { path: path.to_owned(), opentofu, version })
    }

    /// For people.
    pub(crate) const fn product(&self) -> &'static str {
        if self.opentofu { "OpenTofu" } else { "Terraform" }
    }

    /// Whether `init` knows `-json`.
    pub(crate) fn has_json_init(&self) -> bool {
        self.version >= if self.opentofu { Version(1, 8, 0) } else { Version(1, 9, 0) }
    }
}

/// `Terraform v1.11.4` or `OpenTofu v1.8.0-rc1` in the first line.
fn parse(text: &str) -> Option<(bool, Version)> {
    let mut words = text.lines().next()?.split_whitespace();
    let opentofu = match words.next()? {
        "Terraform" => false,
        "OpenTofu" => true,
        _ => return None,
    };
    let numbers = words.next()?.strip_prefix('v')?;
    let numbers = numbers.split_once(['-', '+']).map_or(numbers, |(release, _)| release);
    let mut parts = numbers.split('.').map(str::parse);
    let mut part = || parts.next().and_then(Result::ok);
    Some((opentofu, Version(part()?, part()?, part()?)))
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let runs = |p: &PathBuf| p.is_absolute() && p.is_file() && access(p, AccessFlags::X_OK).is_ok();
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(runs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(parse("Terraform v1.11.4\non linux_amd64\n"), Some((false, Version(1, 11, 4))));
        assert_eq!(parse("OpenTofu v1.8.0-rc1"), Some((true, Version(1, 8, 0))));
        assert_eq!(parse("GNU bash, version 5"), None);
        assert!(Version(1, 10, 0) > Version(1, 9, 9));
    }

    #[tokio::test]
    async fn another_program_is_refused() {
        let error = Binary::probe(Path::new("/bin/echo")).await.unwrap_err();
        assert!(error.contains("neither"), "{error}");
        assert!(Binary::find(Some(Path::new("/nowhere/terraform"))).await.is_err());
    }
}

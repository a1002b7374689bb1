//! An amount of memory.

use std::fmt;
use std::str::FromStr;

const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
/// No engine starts with less.
const LEAST: u64 = 64 << 20;

/// A limit in bytes, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Memory(pub(crate) Option<u64>);

impl Default for Memory {
    fn default() -> Self {
        Self(Some(orgplane_daemon::ENGINE_MEMORY))
    }
}

impl FromStr for Memory {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(None));
        }
        let found = UNITS.iter().find_map(|(name, bytes)| text.strip_suffix(name).map(|number| (number, *bytes)));
        let (number, unit) = found.ok_or("give it as 512MiB, 4GiB or `none`")?;
        let number: u64 = number.trim().parse().map_err(|_| "give it as 512MiB, 4GiB or `none`")?;
        let bytes = number.checked_mul(unit).ok_or("that is more than any machine has")?;
        if bytes < LEAST { Err("no engine starts with less than 64MiB".to_owned()) } else { Ok(Self(Some(bytes))) }
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(bytes) = self.0 else { return f.write_str("none") };
        let whole = UNITS.iter().find(|(_, unit)| bytes % unit == 0);
        let (name, unit) = whole.unwrap_or(&UNITS[2]);
        write!(f, "{}{name}", bytes / unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_shown() {
        for text in ["none", "64MiB", "4GiB", "1536MiB", "65537KiB"] {
            assert_eq!(text.parse::<Memory>().unwrap().to_string(), text);
        }
        assert_eq!("1024MiB".parse(), Ok(Memory(Some(1 << 30))));
        assert_eq!(Memory::default().to_string(), "4GiB");
        for bad in ["", "0", "4", "4G", "GiB", "-1GiB", "1.5GiB", "63MiB", "99999999999999GiB"] {
            assert!(bad.parse::<Memory>().is_err(), "{bad}");
        }
    }
}

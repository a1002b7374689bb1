//! States of Terraform, as far as the server reads them.

use serde::Deserialize;

/// The version of the format that Terraform since 0.12 and OpenTofu write.
const VERSION: u64 = 4;
/// Bytes of a lineage.
const LINEAGE: usize = 256;

/// A state that a client gives. It may hold secrets, so it isn't printed.
#[derive(Clone, PartialEq, Eq)]
pub struct GivenState(Vec<u8>);

impl From<Vec<u8>> for GivenState {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl std::fmt::Debug for GivenState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GivenState({} bytes)", self.0.len())
    }
}

/// A state with what names it.
pub struct State<'a> {
    /// Names the line of states that it belongs to.
    pub lineage: String,
    /// Grows with each change.
    pub serial: i64,
    /// All of it.
    pub bytes: &'a [u8],
}

impl GivenState {
    /// Reads what names it.
    ///
    /// # Errors
    /// The rule that it breaks, when it is no state.
    pub fn read(&self) -> Result<State<'_>, &'static str> {
        #[derive(Deserialize)]
        struct Head {
            version: u64,
            lineage: String,
            serial: i64,
        }
        let rule = "must be a Terraform state: JSON with version, lineage and serial";
        let Head { version, lineage, serial } = serde_json::from_slice(&self.0).map_err(|_| rule)?;
        if version != VERSION {
            return Err("must be a Terraform state of version 4");
        }
        if lineage.is_empty() || lineage.len() > LINEAGE || lineage.chars().any(char::is_control) {
            return Err("must have a lineage of 1 to 256 bytes without control characters");
        }
        if serial < 0 {
            return Err("must have a serial that isn't negative");
        }
        Ok(State { lineage, serial, bytes: &self.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_has_a_name_and_everything_else_is_refused() {
        let read = |text: &str| {
            let given = GivenState::from(text.as_bytes().to_vec());
            given.read().map(|state| (state.lineage, state.serial))
        };
        let good = r#"{"version": 4, "terraform_version": "1.11.4", "serial": 7, "lineage": "l", "resources": []}"#;
        assert_eq!(read(good), Ok(("l".to_owned(), 7)));
        for bad in [
            "",
            "hello",
            "{}",
            "[]",
            r#"{"version": 4, "serial": 7}"#,
            r#"{"version": 3, "serial": 7, "lineage": "l"}"#,
            r#"{"version": 4, "serial": -1, "lineage": "l"}"#,
            r#"{"version": 4, "serial": 1.5, "lineage": "l"}"#,
            r#"{"version": 4, "serial": 99999999999999999999, "lineage": "l"}"#,
            r#"{"version": 4, "serial": 7, "lineage": ""}"#,
            r#"{"version": 4, "serial": 7, "lineage": "\u0000"}"#,
            &format!(r#"{{"version": 4, "serial": 7, "lineage": "{}"}}"#, "l".repeat(257)),
            &"[".repeat(100_000),
        ] {
            assert!(read(bad).is_err(), "{}", bad.chars().take(80).collect::<String>());
        }
        let shown = format!("{:?}", GivenState::from(b"secret".to_vec()));
        assert!(!shown.contains("secret"), "{shown}");
    }
}

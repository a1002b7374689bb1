//! Provisioner keys: `orgp_`, 43 random characters of A-Z, a-z, 0-9, and a checksum of six, so that scanners can tell a
//! leaked one from any other text, and so that a mistyped one is refused before the database is asked.

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::token::{base62, random};

/// What every key starts with.
pub const PREFIX: &str = "orgp_";
/// Random characters: 256 bits.
pub const RANDOM: usize = 43;
/// Characters of the checksum: CRC-32 of all before it, in base 62.
pub const CHECKSUM: usize = 6;

/// A key as a daemon holds it.
pub struct ProvisionerKey(Zeroizing<String>);

impl std::fmt::Debug for ProvisionerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProvisionerKey([redacted])")
    }
}

impl ProvisionerKey {
    /// A new one.
    #[must_use]
    pub fn generate() -> Self {
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + RANDOM + CHECKSUM));
        text.push_str(PREFIX);
        text.push_str(&Zeroizing::new(random(RANDOM)));
        let sum = checksum(&text);
        text.push_str(&sum);
        Self(text)
    }

    /// Reads a key; `None` when the text can't be one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(PREFIX)?;
        if rest.len() != RANDOM + CHECKSUM || !rest.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return None;
        }
        let (body, sum) = text.split_at(PREFIX.len() + RANDOM);
        (checksum(body) == sum).then(|| Self(Zeroizing::new(text.to_owned())))
    }

    /// What the operator is given, once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is stored.
    #[must_use]
    pub fn hash(&self) -> Vec<u8> {
        Sha256::digest(self.0.as_bytes()).to_vec()
    }
}

fn checksum(body: &str) -> String {
    base62(crc32fast::hash(body.as_bytes()), CHECKSUM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_and_differs_each_time() {
        let key = ProvisionerKey::generate();
        assert_eq!(key.reveal().len(), PREFIX.len() + RANDOM + CHECKSUM);
        assert_eq!(ProvisionerKey::parse(key.reveal()).unwrap().hash(), key.hash());
        assert_ne!(ProvisionerKey::generate().hash(), key.hash());
        assert_eq!(format!("{key:?}"), "ProvisionerKey([redacted])");
    }

    #[test]
    fn one_wrong_character_anywhere_is_noticed() {
        let good = ProvisionerKey::generate().reveal().to_owned();
        for at in 0..good.len() {
            let mut bytes = good.clone().into_bytes();
            bytes[at] = if bytes[at] == b'x' { b'y' } else { b'x' };
            assert!(ProvisionerKey::parse(std::str::from_utf8(&bytes).unwrap()).is_none(), "character {at}");
        }
        for bad in ["", "orgp_", &good[..good.len() - 1], &format!("{good}0"), &format!(" {good}"), &good[5..]] {
            assert!(ProvisionerKey::parse(bad).is_none(), "{bad}");
        }
        assert!(ProvisionerKey::parse(&format!("orgp_{}", "é".repeat(24))).is_none());
    }
}

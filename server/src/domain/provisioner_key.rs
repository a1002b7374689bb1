//! Provisioner keys: `orgp_`, 43 random characters of A-Z, a-z, 0-9, and a checksum of six, so that scanners can tell a
//! leaked one from any other text, and so that a mistyped one is refused before the database is asked.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use sea_orm::DeriveValueType;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::id::ProvisionerKeyId;
use super::rule::{Violations, is_hidden};
use super::tags::{OWNER, SCOPE};
use super::token::{base62, random};

/// What every key starts with.
pub const PREFIX: &str = "orgp_";
/// Random characters: 256 bits.
pub const RANDOM: usize = 43;
/// Characters of the checksum: CRC-32 of all before it, in base 62.
pub const CHECKSUM: usize = 6;
/// Tags that a key may have.
pub const MOST_TAGS: usize = 32;

/// The key of the daemons that servers run themselves. It has this id and name in every deployment, is in no list of keys
/// and can't be deleted; each such daemon gets a secret of its own, which ends with it.
pub const BUILT_IN: (ProvisionerKeyId, &str) = (ProvisionerKeyId(uuid::Uuid::from_u128(1)), "built-in");

/// A key as a daemon holds it.
pub struct ProvisionerKey(Zeroizing<String>);

impl fmt::Debug for ProvisionerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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

/// The tags that an operator put on a key: neither `scope` nor `owner`, and none without a value.
#[derive(Debug, Clone, PartialEq, Eq, Default, DeriveValueType)]
#[sea_orm(value_type = "String")]
pub struct KeyTags(pub BTreeMap<String, String>);

impl KeyTags {
    /// Takes tags as they were asked for, and notes the rules that they break.
    pub fn checked(tags: BTreeMap<String, String>, violations: &mut Violations) -> Self {
        const FIELD: &str = "tags";
        let tags: BTreeMap<_, _> = tags.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        if tags.len() > MOST_TAGS {
            violations.add(FIELD, format!("must be at most {MOST_TAGS}"));
        }
        for (name, value) in tags.iter().take(MOST_TAGS) {
            if name.is_empty() || name.len() > 64 || value.len() > 256 {
                violations.add(FIELD, "must have names of 1 to 64 bytes and values of at most 256 bytes");
            } else if name.chars().chain(value.chars()).any(is_hidden) {
                violations.add(FIELD, "must not have control characters");
            } else if name == SCOPE || name == OWNER {
                violations.add(FIELD, format!("must not name `{name}`: the server sets it"));
            }
        }
        Self(tags)
    }
}

impl fmt::Display for KeyTags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A map of texts always is JSON.
        f.write_str(&serde_json::to_string(&self.0).unwrap_or_default())
    }
}

impl FromStr for KeyTags {
    type Err = serde_json::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        serde_json::from_str(text).map(Self)
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

    #[test]
    fn tags_that_a_key_may_have() {
        let checked = |tags: &[(&str, &str)]| {
            let mut violations = Violations::default();
            let tags = tags.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
            let tags = KeyTags::checked(tags, &mut violations);
            violations.finish().map(|()| tags.to_string())
        };
        assert_eq!(checked(&[]).unwrap(), "{}");
        assert_eq!(checked(&[("b", "1"), ("a", "é"), ("none", "")]).unwrap(), r#"{"a":"é","b":"1"}"#);
        let (name, value) = ("n".repeat(65), "v".repeat(257));
        for bad in [
            [("scope", "user")],
            [("owner", "x")],
            [("", "x")],
            [("a\0", "x")],
            [("a", "x\n")],
            [(name.as_str(), "x")],
            [("a", value.as_str())],
        ] {
            assert!(checked(&bad).is_err(), "{bad:?}");
        }
        let many: Vec<String> = (0..33).map(|n| n.to_string()).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|n| (n.as_str(), "x")).collect();
        assert!(checked(&many).is_err());
        assert!(checked(&many[..32]).is_ok());
    }
}

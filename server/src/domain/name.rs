//! What things may be called.
//!
//! No name reads as an id: where a path takes both, one text means one thing.

use super::id::parse_hyphenated;
use super::permission::role;
use super::rule::{Rule, is_hidden};

/// Names that stand for something else in a URL.
const VERBS: &[&str] = &["new", "create"];
/// Names of keys that other products keep for themselves; commands and scripts know them.
const RESERVED_KEYS: &[&str] = &["built-in", "user-auth", "psk"];

const IDENTIFIER: &str = "must be 1 to 32 characters: letters a-z, A-Z and digits, with single hyphens between them";
const VERSION: &str =
    "must be 1 to 64 characters: letters a-z, A-Z and digits, with single hyphens, dots or underscores between them";
const VERB: &str = "must not be `new` or `create`";
const ID: &str = "must not look like an id";

/// Templates, workspaces, and the base of the two below.
///
/// # Errors
/// The broken rule.
pub fn identifier(text: &str) -> Rule {
    if !words(text, 32, &['-']) {
        Err(IDENTIFIER)
    } else if is_one_of(text, VERBS) {
        Err(VERB)
    } else {
        Ok(())
    }
}

/// Usernames.
///
/// # Errors
/// The broken rule.
pub fn username(text: &str) -> Rule {
    identifier(text)?;
    if is_one_of(text, &["me"]) { Err("must not be `me`, which means the caller") } else { Ok(()) }
}

/// Organizations.
///
/// # Errors
/// The broken rule.
pub fn organization(text: &str) -> Rule {
    identifier(text)?;
    if is_one_of(text, &["default"]) { Err("must not be `default`, which means the default one") } else { Ok(()) }
}

/// Roles of an organization's making.
///
/// # Errors
/// The broken rule.
pub fn custom_role(text: &str) -> Rule {
    identifier(text)?;
    if role::is_reserved(text) { Err("must not be the name of a built-in role") } else { Ok(()) }
}

/// Versions of a template.
///
/// # Errors
/// The broken rule.
pub fn template_version(text: &str) -> Rule {
    if !words(text, 64, &['-', '.', '_']) {
        Err(VERSION)
    } else if parse_hyphenated(text).is_some() {
        Err(ID)
    } else {
        Ok(())
    }
}

/// Provisioner keys, before they are lower-cased.
///
/// # Errors
/// The broken rule.
pub fn provisioner_key(text: &str) -> Rule {
    if text.is_empty() || text.len() > 64 || text.to_lowercase().len() > 64 {
        Err("must be 1 to 64 bytes")
    } else if text.chars().any(is_hidden) {
        Err("must not have control or invisible characters")
    } else if is_one_of(text, RESERVED_KEYS) {
        Err("must not be `built-in`, `user-auth` or `psk`, which are reserved")
    } else if parse_hyphenated(text).is_some() {
        Err(ID)
    } else {
        Ok(())
    }
}

/// Tokens.
///
/// # Errors
/// The broken rule.
pub fn token(text: &str) -> Rule {
    if text.is_empty() || text.len() > 64 {
        Err("must be 1 to 64 bytes")
    } else if text.chars().any(|c| is_hidden(c) || c == '/') || text.trim() != text {
        Err("must not have slashes, control or invisible characters, or spaces around it")
    } else {
        Ok(())
    }
}

/// Names for people, of organizations and templates; may be empty.
///
/// # Errors
/// The broken rule.
pub fn display(text: &str) -> Rule {
    if is_line(text, 64) {
        Ok(())
    } else {
        Err("must be one line of at most 64 characters, without spaces at its ends and invisible characters")
    }
}

/// Real names of users; may be empty.
///
/// # Errors
/// The broken rule.
pub fn real(text: &str) -> Rule {
    if is_line(text, 128) {
        Ok(())
    } else {
        Err("must be one line of at most 128 characters, without spaces at its ends and invisible characters")
    }
}

/// Descriptions; may be empty and have several lines.
///
/// # Errors
/// The broken rule.
pub fn description(text: &str) -> Rule {
    if text.len() <= 16 * 1024 && !text.contains('\0') {
        Ok(())
    } else {
        Err("must be at most 16384 bytes, without NUL characters")
    }
}

/// Icons: a path, a URL or an emoji; may be empty.
///
/// # Errors
/// The broken rule.
pub fn icon(text: &str) -> Rule {
    if is_line(text, 2048) {
        Ok(())
    } else {
        Err("must be a path, URL or emoji of at most 2048 characters, without spaces at its ends")
    }
}

/// Letters and digits with single separators between them.
fn words(text: &str, longest: usize, separators: &[char]) -> bool {
    !text.is_empty()
        && text.len() <= longest
        && text.split(separators).all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric()))
}

fn is_line(text: &str, longest: usize) -> bool {
    text.trim().len() == text.len() && text.chars().count() <= longest && !text.chars().any(is_hidden)
}

fn is_one_of(text: &str, reserved: &[&str]) -> bool {
    reserved.iter().any(|name| text.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rule: fn(&str) -> Rule, good: &[&str], bad: &[&str]) {
        for text in good {
            assert_eq!(rule(text), Ok(()), "{text:?}");
        }
        for text in bad {
            assert!(rule(text).is_err(), "{text:?}");
        }
    }

    const UUID: &str = "01234567-89ab-cdef-0123-456789abcdef";

    #[test]
    fn identifiers() {
        let longest = "a".repeat(32);
        let over = "a".repeat(33);
        let good = ["a", "A1", "data-platform", "0", "a-b-c", "newer", "default", "me", &longest];
        let bad =
            ["", "-", "a-", "-a", "a--b", "a_b", "a.b", "a b", "é", "new", "create", "NEW", "a\0", "a\n", &over, UUID];
        table(identifier, &good, &bad);
        table(username, &["ann", "me2", "default"], &["me", "ME", "new", "", "a b"]);
        let built_in = ["owner", "Member", "auditor", "organization-member", "ORGANIZATION-ADMIN"];
        table(custom_role, &["owners", "template-editor"], &[&built_in[..], &["new", "", "a b", &over, UUID]].concat());
        table(organization, &["ann", "me"], &["default", "Default", "create", "", "a b", UUID]);
    }

    #[test]
    fn versions() {
        let longest = "a".repeat(64);
        let over = "a".repeat(65);
        let good = ["a", "1.0.0", "a_b-c.d", "new", &longest];
        let bad = ["", ".", "a.", "_a", "a..b", "a.-b", "a b", "é", "a/b", &over, UUID];
        table(template_version, &good, &bad);
    }

    #[test]
    fn keys() {
        let longest = "a".repeat(64);
        let over = "é".repeat(33);
        let good = ["a", "Data Cluster/1", "é", "psk2", "default", &longest];
        let bad = ["", "psk", "PSK", "Built-In", "user-auth", "a\0b", "a\nb", "a\u{202e}b", "\u{feff}a", &over, UUID];
        table(provisioner_key, &good, &bad);
        // Lower-casing may need more bytes.
        assert!(provisioner_key(&"İ".repeat(32)).is_err());
    }

    #[test]
    fn texts() {
        let longest = "é".repeat(64);
        let over = "a".repeat(65);
        table(display, &["", "a", "Data Platform", &longest], &[" a", "a ", " ", "a\nb", "a\0b", &over]);
        let over = "a".repeat(129);
        table(real, &["", "Ann B. Cee"], &[" a", "a\t", "a\u{7f}", &over]);
        let over = "a".repeat(16 * 1024 + 1);
        table(description, &["", " two\nlines "], &["a\0", &over]);
        table(icon, &["", "/icon/k8s.png", "🐳"], &["a\0", " a"]);
    }
}

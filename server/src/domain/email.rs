//! Email addresses, as far as they can be judged without sending anything.

use super::rule::Rule;

const RULE: &str = "must be an email address in ASCII, such as ann@example.com";

/// One `@`; before it at most 64 characters that need no quotes; after it host names. ASCII only, so that both databases
/// agree on which addresses differ in case alone.
///
/// # Errors
/// The broken rule.
pub fn check(text: &str) -> Rule {
    let Some((local, domain)) = text.split_once('@') else { return Err(RULE) };
    let local_fits = local.len() <= 64 && local.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(in_atom));
    let domain_fits = domain.split('.').all(is_label);
    if text.len() <= 254 && local_fits && domain_fits { Ok(()) } else { Err(RULE) }
}

/// As it is stored: in lower case.
#[must_use]
pub fn canonical(text: &str) -> String {
    text.to_ascii_lowercase()
}

fn in_atom(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in ["ann@example.com", "a.b+c@x.example", "A@B", "o'neil@sub.domain.example", "x@1.2"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        let long_local = format!("{}@x.example", "a".repeat(65));
        let long = format!("a@{}example", "a1234567.".repeat(30));
        for bad in [
            "",
            "@",
            "a@",
            "@b",
            "a",
            "a@b@c",
            "a b@c",
            "a@b c",
            ".a@b",
            "a.@b",
            "a..b@c",
            "a@-b",
            "a@b-",
            "a@.b",
            "a@b.",
            "é@b",
            "a@é",
            "a\0@b",
            "a@b\n",
            "\"a b\"@c",
            "<a@b>",
            &long_local,
            &long,
        ] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }
}

//! How hard a password is to guess.
//!
//! The measure is `length * log2(alphabet)` bits. The alphabet is the sum of the groups that the password has characters
//! of; the length leaves out what a guesser gets for free: repeats, and runs along the alphabet, the digits or a row of
//! the keyboard, count their first two characters only.

use super::rule::Rule;

/// Bits that a password must have.
pub const LEAST_BITS: f64 = 52.0;
/// Characters that it may have.
pub const LONGEST: usize = 64;

const GROUPS: &[&str] = &[
    "abcdefghijklmnopqrstuvwxyz",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "0123456789",
    "!@$&*",
    "_-., ",
    "\"#%'()+/:;<=>?[\\]^{|}~",
];

const RUNS: &[&str] = &["abcdefghijklmnopqrstuvwxyz", "0123456789", "qwertyuiop", "asdfghjkl", "zxcvbnm"];

/// Whether a password is good enough to be set.
///
/// # Errors
/// The broken rule.
pub fn check(password: &str) -> Rule {
    if password.is_empty() {
        Err("must be set")
    } else if password.chars().count() > LONGEST {
        Err("must be at most 64 characters")
    } else if password.contains('\0') {
        Err("must not have NUL characters")
    } else if bits(password) < LEAST_BITS {
        Err("is too easy to guess: make it longer, or mix letters, digits and symbols")
    } else {
        Ok(())
    }
}

/// The measure, in bits.
#[must_use]
pub fn bits(password: &str) -> f64 {
    let counted = u32::try_from(counted(password)).unwrap_or(u32::MAX);
    let alphabet = u32::try_from(alphabet(password)).unwrap_or(u32::MAX);
    if alphabet == 0 { 0.0 } else { f64::from(counted) * f64::from(alphabet).log2() }
}

/// Characters of the groups that it uses; one in no group adds itself alone.
fn alphabet(password: &str) -> usize {
    let groups = GROUPS.iter().filter(|group| password.contains(|c| group.contains(c)));
    let mut others: Vec<char> = password.chars().filter(|&c| !GROUPS.iter().any(|group| group.contains(c))).collect();
    others.sort_unstable();
    others.dedup();
    groups.map(|group| group.len()).sum::<usize>() + others.len()
}

/// Its length without what goes on a repeat or a run.
fn counted(password: &str) -> usize {
    let characters: Vec<char> = password.chars().map(|c| c.to_ascii_lowercase()).collect();
    let more = characters.windows(3).filter(|three| is_free(three[0], three[1], three[2])).count();
    characters.len() - more
}

/// Whether the third follows from the two before it.
fn is_free(first: char, second: char, third: char) -> bool {
    let step = |a: char, b: char| {
        RUNS.iter().enumerate().find_map(|(run, text)| {
            let (at_a, at_b) = (text.find(a)?, text.find(b)?);
            (at_a.abs_diff(at_b) == 1).then_some((run, at_b > at_a))
        })
    };
    let on_a_run = |run: usize, up: bool| {
        let at = |c: char| RUNS[run].find(c);
        match (at(second), at(third)) {
            (Some(b), Some(c)) => {
                if up {
                    c == b + 1
                } else {
                    c + 1 == b
                }
            }
            _ => false,
        }
    };
    (first == second && second == third) || step(first, second).is_some_and(|(run, up)| on_a_run(run, up))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_easy_to_guess_is_refused() {
        for bad in [
            "",
            "password",
            "Passw0rd",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "abcdefghijklmnopqrstuvwxyz",
            "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
            "qwertyuiopasdfghjklzxcvbnm",
            "12345678901234567890",
            "98765432109876543210",
            "abcdefg1234567",
            "\0aaJ8!kd0-2mvQz",
        ] {
            assert!(check(bad).is_err(), "{bad}: {}", bits(bad));
        }
        assert!(check(&"aJ8!".repeat(16)).is_ok());
        assert!(check(&("aJ8!".repeat(16) + "x")).is_err());
    }

    #[test]
    fn what_is_hard_is_taken() {
        for good in
            ["SomeSecurePassword!", "correct horse battery", "tR0ub4dor&3", "MyS3cur3!pw", "пароль-пароль-пароль"]
        {
            assert!(check(good).is_ok(), "{good}: {}", bits(good));
        }
    }

    #[test]
    fn the_measure() {
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(near(bits("ace"), 3.0 * 26_f64.log2()));
        assert!(near(bits("aaaa"), 2.0 * 26_f64.log2()));
        assert!(near(bits("abcd"), 2.0 * 26_f64.log2()));
        assert!(near(bits("dcba"), 2.0 * 26_f64.log2()));
        assert!(near(bits("abab"), 4.0 * 26_f64.log2()));
        assert!(near(bits("aB3!_#"), 6.0 * 94_f64.log2()));
        assert!(near(bits("ééàà"), 4.0));
        assert!(near(bits(""), 0.0));
    }
}

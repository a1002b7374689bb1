//! Session tokens: `<id>-<secret>`, ten and twenty-two characters of A-Z, a-z, 0-9. Only the secret's hash is kept.

use std::time::Duration;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::Timestamp;

/// The stored scope of what is for all that its user may do.
pub const ALL: &str = "all";
/// Characters of the id.
pub const ID: usize = 10;
/// Characters of the secret: 130 bits.
pub const SECRET: usize = 22;
/// How long a session made with a password lives without use.
pub const SESSION_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a session that a program asks for lives without use, and how long a token lives that nobody said it of.
pub const TOKEN_LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How long an expired token is still shown.
pub const EXPIRED_KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Sessions and tokens that one user has at most.
pub const MOST_OF_A_USER: u64 = 1000;
/// Last use and expiry are written at most this often.
pub const TOUCH_INTERVAL: Duration = Duration::from_secs(60 * 60);

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A token as the client holds it.
pub struct Token {
    /// Names the token's row.
    pub id: String,
    secret: Zeroizing<String>,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Token {
    /// A new one.
    #[must_use]
    pub fn generate() -> Self {
        Self { id: random(ID), secret: Zeroizing::new(random(SECRET)) }
    }

    /// Reads a token; `None` when the text can't be one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.split_once('-')?;
        let fits = |part: &str, length: usize| part.len() == length && part.bytes().all(|b| b.is_ascii_alphanumeric());
        (fits(id, ID) && fits(secret, SECRET))
            .then(|| Self { id: id.to_owned(), secret: Zeroizing::new(secret.to_owned()) })
    }

    /// What the client is given, once.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("{}-{}", self.id, *self.secret)
    }

    /// What is stored.
    #[must_use]
    pub fn hash(&self) -> Vec<u8> {
        Sha256::digest(self.secret.as_bytes()).to_vec()
    }

    /// Whether the stored hash is of this token; takes as long whatever the difference.
    #[must_use]
    pub fn matches(&self, hash: &[u8]) -> bool {
        self.hash().ct_eq(hash).into()
    }
}

/// The new end of a sliding session, when it has moved by enough to be written.
#[must_use]
pub fn renewed(expires_at: Timestamp, lifetime: Duration, now: Timestamp) -> Option<Timestamp> {
    let end = now.plus(lifetime);
    (end.since(expires_at) >= TOUCH_INTERVAL).then_some(end)
}

/// Random characters of A-Z, a-z, 0-9, each as likely.
pub(super) fn random(length: usize) -> String {
    let mut text = String::with_capacity(length);
    while text.len() < length {
        // 6 bits; the two values that the alphabet doesn't have are thrown away.
        let six = usize::from(rand::random::<u8>() >> 2);
        text.extend(ALPHABET.get(six).map(|&byte| char::from(byte)));
    }
    text
}

/// What makes a made-up name one of its own.
#[must_use]
pub fn random_suffix() -> String {
    format!("_{}", random(6).to_lowercase())
}

/// A number in base 62, padded to `width`.
pub(super) fn base62(mut number: u32, width: usize) -> String {
    let mut digits = Vec::with_capacity(width);
    while digits.len() < width {
        let digit = usize::try_from(number % 62).unwrap_or(0);
        digits.push(char::from(ALPHABET[digit]));
        number /= 62;
    }
    digits.into_iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_back_and_only_it_matches() {
        let token = Token::generate();
        let text = token.reveal();
        assert_eq!(text.len(), ID + 1 + SECRET);
        let read = Token::parse(&text).unwrap();
        assert_eq!(read.id, token.id);
        assert!(read.matches(&token.hash()));
        assert!(!Token::generate().matches(&token.hash()));
        assert!(!read.matches(&[]));
        assert!(!format!("{token:?}").contains(&text[ID + 1..]));
    }

    #[test]
    fn other_shapes_are_no_tokens() {
        let good = "0123456789-0123456789abcdefABCDEF";
        assert!(Token::parse(good).is_some());
        for bad in [
            "",
            "-",
            "0123456789",
            "0123456789-0123456789abcdefABCDE",
            "0123456789-0123456789abcdefABCDEFG",
            "012345678-0123456789abcdefABCDEF0",
            "0123456789-0123456789abcdefABCDE-",
            "0123456789-0123456789abcdefABCDE ",
            "0123456789-0123456789abcdefABCDé",
            "01234567é-0123456789abcdefABCDEF",
            "Bearer 0123456789-0123456789abcdefABCDEF",
        ] {
            assert!(Token::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_session_slides_by_the_hour() {
        let start = Timestamp(0);
        let end = start.plus(SESSION_LIFETIME);
        let minute = Duration::from_secs(60);
        assert_eq!(renewed(end, SESSION_LIFETIME, start.plus(minute * 59)), None);
        let hour = start.plus(minute * 60);
        assert_eq!(renewed(end, SESSION_LIFETIME, hour), Some(hour.plus(SESSION_LIFETIME)));
        assert_eq!(renewed(end, SESSION_LIFETIME, start), None);
    }

    #[test]
    fn numbers_in_base_62() {
        assert_eq!(base62(0, 6), "000000");
        assert_eq!(base62(61, 2), "0z");
        assert_eq!(base62(62, 2), "10");
        assert_eq!(base62(u32::MAX, 6), "4gfFC3");
    }
}

//! Sensitive columns at rest: ChaCha20-Poly1305 under the deployment's key.
//!
//! A sealed value is one byte for the format, four for the key's id, twelve of nonce, then ciphertext and tag. The key's
//! id is the start of its hash, so that a later rotation can tell values under the old key from those under the new.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use chacha20poly1305::aead::{Aead as _, KeyInit as _};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::error::Open;

const FORMAT: u8 = 1;
const KEY_ID: usize = 4;
const NONCE: usize = 12;
const HEADER: usize = 1 + KEY_ID + NONCE;

/// Seals and opens values.
pub struct Sealer {
    cipher: ChaCha20Poly1305,
    key_id: [u8; KEY_ID],
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer")
    }
}

/// A value that can't be opened: cut, altered, or sealed with another key.
#[derive(Debug, thiserror::Error)]
#[error("a sealed value can't be opened: it is damaged or sealed with another key")]
pub struct Damaged;

impl Sealer {
    /// With a key of 32 bytes.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        let digest = Sha256::digest(key);
        let mut key_id = [0; KEY_ID];
        key_id.copy_from_slice(&digest[..KEY_ID]);
        Self { cipher: ChaCha20Poly1305::new(&Key::from(*key)), key_id }
    }

    /// Reads the key's file, 64 hexadecimal digits; makes it, readable by its owner alone, when it isn't there.
    ///
    /// # Errors
    /// When the file can't be read or made, or holds something else.
    pub fn from_file(path: &Path) -> Result<Self, Open> {
        let broken = |cause| Open::File { path: path.to_owned(), cause };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => generate(path).map_err(broken)?,
            Err(error) => return Err(broken(error)),
        };
        let key = parse_hex(text.trim()).ok_or_else(|| {
            broken(std::io::Error::new(
                std::io::ErrorKind::InvalidData,
                "the sealing key must be 64 hexadecimal digits",
            ))
        })?;
        Ok(Self::new(&key))
    }

    /// The sealed form of a value; different each time.
    #[must_use]
    pub fn seal(&self, plain: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE] = rand::random();
        let mut sealed = Vec::with_capacity(HEADER + plain.len() + 16);
        sealed.push(FORMAT);
        sealed.extend_from_slice(&self.key_id);
        sealed.extend_from_slice(&nonce);
        // Encrypting into memory fails only for values of 256 GiB.
        sealed.extend(self.cipher.encrypt(&Nonce::from(nonce), plain).unwrap_or_default());
        sealed
    }

    /// The value.
    ///
    /// # Errors
    /// [`Damaged`] when it isn't a value that this key sealed.
    pub fn open(&self, sealed: &[u8]) -> Result<Vec<u8>, Damaged> {
        let header = sealed.get(..HEADER).ok_or(Damaged)?;
        if header[0] != FORMAT || header[1..=KEY_ID] != self.key_id {
            return Err(Damaged);
        }
        let nonce: [u8; NONCE] = header[1 + KEY_ID..].try_into().map_err(|_| Damaged)?;
        self.cipher.decrypt(&Nonce::from(nonce), &sealed[HEADER..]).map_err(|_| Damaged)
    }
}

fn generate(path: &Path) -> std::io::Result<Zeroizing<String>> {
    let key: Zeroizing<[u8; 32]> = Zeroizing::new(rand::random());
    let text = Zeroizing::new(key.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{}", *text)?;
    file.sync_all()?;
    Ok(text)
}

fn parse_hex(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0; 32]);
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, digits) in key.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back_and_an_altered_one_does_not() {
        let sealer = Sealer::new(&[7; 32]);
        let sealed = sealer.seal(b"state");
        assert_eq!(sealer.open(&sealed).unwrap(), b"state");
        assert_ne!(sealed, sealer.seal(b"state"));
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert!(sealer.open(&altered).is_err(), "byte {at}");
        }
        assert!(sealer.open(&sealed[..sealed.len() - 1]).is_err());
        assert!(Sealer::new(&[8; 32]).open(&sealed).is_err());
    }

    #[test]
    fn the_key_file_is_made_once_and_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/sealing.key");
        let sealed = Sealer::from_file(&path).unwrap().seal(b"x");
        assert_eq!(Sealer::from_file(&path).unwrap().open(&sealed).unwrap(), b"x");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&path, "short").unwrap();
        assert!(Sealer::from_file(&path).is_err());
    }
}

//! The blocks of a tar archive, as they come.

use tar::{EntryType, Header, PaxExtensions};

use super::names::Names;
use super::{Fault, MAX_EXTENSION, MAX_SIZE, MAX_UNPACKED};

const BLOCK: usize = 512;

/// Takes an archive in, in pieces of any size, and refuses it at its first fault.
#[derive(Debug, Default)]
pub struct Check {
    /// Bytes taken.
    position: u64,
    /// The start of a header that hasn't come whole.
    header: Vec<u8>,
    /// Bytes of the current entry's content that are to come, and of the padding after it.
    content: u64,
    padding: u64,
    /// The current entry extends the next one.
    extension: Option<Extension>,
    /// The next entry's path, where its own header has no room for it.
    path: Option<Vec<u8>>,
    /// Empty blocks in a row; two are the end mark.
    empty_blocks: u8,
    unpacked: u64,
    names: Names,
}

#[derive(Debug)]
struct Extension {
    kind: EntryType,
    at: u64,
    content: Vec<u8>,
}

impl Check {
    /// The next piece.
    ///
    /// # Errors
    /// The first [`Fault`]; the archive is refused.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Fault> {
        while !bytes.is_empty() {
            let taken = if self.empty_blocks == 2 {
                self.trailer(bytes)?
            } else if self.content > 0 {
                self.content(bytes)?
            } else if self.padding > 0 {
                let taken = within(self.padding, bytes.len());
                self.padding -= taken as u64;
                taken
            } else {
                self.block(bytes)?
            };
            self.position += taken as u64;
            if self.position > MAX_SIZE {
                return Err(Fault::Large);
            }
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    /// The end.
    ///
    /// # Errors
    /// A [`Fault`] when it isn't finished or breaks a rule as a whole.
    pub fn finish(self) -> Result<(), Fault> {
        if self.empty_blocks < 2 {
            // Less than a block came, or an archive that is cut.
            let other = other_kind(&self.header).filter(|_| self.position == self.header.len() as u64);
            return Err(other.map_or(Fault::Unfinished(self.position), Fault::OtherKind));
        }
        self.names.finish()
    }

    fn trailer(&self, bytes: &[u8]) -> Result<usize, Fault> {
        if bytes.iter().all(|byte| *byte == 0) { Ok(bytes.len()) } else { Err(Fault::Trailing) }
    }

    fn content(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let taken = within(self.content, bytes.len());
        self.content -= taken as u64;
        if let Some(extension) = &mut self.extension {
            extension.content.extend_from_slice(&bytes[..taken]);
            if self.content == 0 {
                self.extend()?;
            }
        }
        Ok(taken)
    }

    fn block(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let taken = bytes.len().min(BLOCK - self.header.len());
        self.header.extend_from_slice(&bytes[..taken]);
        if self.header.len() == BLOCK {
            let block = std::mem::take(&mut self.header);
            let at = self.position + taken as u64 - BLOCK as u64;
            if block.iter().all(|byte| *byte == 0) {
                self.empty_blocks += 1;
            } else if self.empty_blocks > 0 {
                return Err(Fault::Damaged(at));
            } else {
                self.entry(Header::from_byte_slice(&block), &block, at)?;
            }
        }
        Ok(taken)
    }

    fn entry(&mut self, header: &Header, block: &[u8], at: u64) -> Result<(), Fault> {
        if header.cksum().ok() != Some(checksum(block)) {
            return Err(other_kind(block).filter(|_| at == 0).map_or(Fault::Damaged(at), Fault::OtherKind));
        }
        let size = header.entry_size().map_err(|_| Fault::Damaged(at))?;
        let kind = header.entry_type();
        match kind {
            EntryType::Regular | EntryType::Directory => {
                let path = self.path.take().unwrap_or_else(|| header.path_bytes().into_owned());
                // Older programs mark a folder by its name alone, and readers differ in whether they see that.
                let is_file = kind == EntryType::Regular;
                if is_file && path.ends_with(b"/") || !is_file && size > 0 {
                    return Err(Fault::Special(String::from_utf8_lossy(&path).into_owned()));
                }
                self.names.admit(&path, is_file)?;
                self.unpacked = self.unpacked.saturating_add(size);
                if self.unpacked > MAX_UNPACKED {
                    return Err(Fault::LargeUnpacked);
                }
            }
            EntryType::XHeader | EntryType::XGlobalHeader | EntryType::GNULongName => {
                if size == 0 || size > MAX_EXTENSION || (kind == EntryType::XGlobalHeader && self.path.is_some()) {
                    return Err(Fault::Extension(at));
                }
                self.extension = Some(Extension { kind, at, content: Vec::new() });
            }
            EntryType::Symlink | EntryType::Link | EntryType::GNULongLink => {
                return Err(Fault::Link(self.shown(header)));
            }
            _ => return Err(Fault::Special(self.shown(header))),
        }
        self.content = size;
        self.padding = size.next_multiple_of(BLOCK as u64) - size;
        Ok(())
    }

    fn shown(&self, header: &Header) -> String {
        String::from_utf8_lossy(self.path.as_deref().unwrap_or(&header.path_bytes())).into_owned()
    }

    /// An extended header has come whole.
    fn extend(&mut self) -> Result<(), Fault> {
        let Some(Extension { kind, at, mut content }) = self.extension.take() else { return Ok(()) };
        let path = if kind == EntryType::GNULongName {
            if content.last() == Some(&0) {
                content.pop();
            }
            Some(content)
        } else {
            pax_path(&content, kind == EntryType::XGlobalHeader).ok_or(Fault::Extension(at))?
        };
        if let Some(path) = path
            && self.path.replace(path).is_some()
        {
            return Err(Fault::Extension(at));
        }
        Ok(())
    }
}

/// The path in a PAX header, if it has one; `None` for a header that is broken or changes what the archive's blocks mean.
fn pax_path(content: &[u8], global: bool) -> Option<Option<Vec<u8>>> {
    // The reader stops at an empty line, which no record is.
    if content.starts_with(b"\n") || !content.ends_with(b"\n") || content.windows(2).any(|pair| pair == b"\n\n") {
        return None;
    }
    let mut path = None;
    for extension in PaxExtensions::new(content) {
        let extension = extension.ok()?;
        match extension.key_bytes() {
            b"path" if global || path.is_some() => return None,
            b"path" => path = Some(extension.value_bytes().to_owned()),
            b"size" | b"linkpath" | b"hdrcharset" => return None,
            key if key.starts_with(b"GNU.sparse") => return None,
            _ => {}
        }
    }
    Some(path)
}

/// What was sent instead of a tar, where its first bytes tell.
fn other_kind(block: &[u8]) -> Option<&'static str> {
    match block {
        [0x1f, 0x8b, ..] => Some("a gzip file; send it unpacked"),
        [b'P', b'K', 3, 4, ..] => Some("a zip archive; send it as `application/zip`"),
        _ => None,
    }
}

/// As much as is left, of what there is.
fn within(left: u64, available: usize) -> usize {
    usize::try_from(left).map_or(available, |left| left.min(available))
}

/// The sum of a header's bytes, with its own field counted as spaces.
fn checksum(block: &[u8]) -> u32 {
    let field = 148..156;
    block.iter().enumerate().map(|(at, byte)| if field.contains(&at) { 32 } else { u32::from(*byte) }).sum()
}

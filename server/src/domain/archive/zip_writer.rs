//! A stored tar as a zip with the same files.

use std::io::{self, Read, Write};

use flate2::write::DeflateEncoder;
use flate2::{Compression, CrcReader};
use tar::{Archive, EntryType};

use super::zip_record::{
    CENTRAL_SIGNATURE, DEFLATED, DESCRIPTOR, END_SIGNATURE, Header, LOCAL_SIGNATURE, STORED, UTF8,
};

/// Midnight of 1980-01-01, the first time that a zip can tell. Times aren't kept.
const TIME: [u8; 4] = [0, 0, 0x21, 0];
/// To be read with version 2.0 of the format: folders and `deflate`.
const VERSION: [u8; 2] = 20_u16.to_le_bytes();
/// Written on Unix: the attributes have its modes.
const WRITTEN_BY: [u8; 2] = [20, 3];

/// Writes the files of `tar`, which [`super::Check`] has taken, as a zip. Holds the directory in memory, else a few buffers.
///
/// # Errors
/// When `tar` can't be read or `zip` can't be written.
pub fn to_zip(tar: impl Read, zip: impl Write) -> io::Result<()> {
    let mut tar = Archive::new(tar);
    let (mut zip, mut directory, mut count) = (Counted { inner: zip, written: 0 }, Vec::new(), 0_u16);
    for entry in tar.entries()? {
        let mut entry = entry?;
        let is_file = match entry.header().entry_type() {
            EntryType::Regular => true,
            EntryType::Directory => false,
            _ => continue,
        };
        let Some(name) = name(&entry.path_bytes(), is_file) else { continue };
        // A header need not have one that can be read.
        let runs = entry.header().mode().is_ok_and(|mode| mode & 0o111 != 0);
        let mode = if !is_file || runs { 0o755 } else { 0o644 };
        let attributes: u32 = if is_file { (0o100_000 | mode) << 16 } else { (0o040_000 | mode) << 16 | 0x10 };
        let at = zip.written;
        let header = self::entry(&mut zip, &name, if is_file { Some(&mut entry) } else { None })?;

        directory.extend_from_slice(&CENTRAL_SIGNATURE);
        directory.extend_from_slice(&WRITTEN_BY);
        write_header(&mut directory, &header)?;
        // No comment, the first and only disk, no hint about text.
        directory.extend_from_slice(&[0; 6]);
        directory.extend_from_slice(&attributes.to_le_bytes());
        directory.extend_from_slice(&small(at)?.to_le_bytes());
        directory.extend_from_slice(&name);
        count = count.checked_add(1).ok_or_else(too_large)?;
    }
    let at = small(zip.written)?;
    zip.write_all(&directory)?;
    zip.write_all(&END_SIGNATURE)?;
    zip.write_all(&[0; 4])?;
    for number in [count, count] {
        zip.write_all(&number.to_le_bytes())?;
    }
    for number in [small(directory.len() as u64)?, at] {
        zip.write_all(&number.to_le_bytes())?;
    }
    // No comment.
    zip.write_all(&[0; 2])?;
    zip.flush()
}

/// Writes one entry with its content; its header as the directory has it.
fn entry(zip: &mut Counted<impl Write>, name: &[u8], content: Option<&mut dyn Read>) -> io::Result<Header> {
    let (flags, method) = if content.is_some() { (UTF8 | DESCRIPTOR, DEFLATED) } else { (UTF8, STORED) };
    let name_length = u16::try_from(name.len()).map_err(|_| too_large())?;
    let mut header = Header { flags, method, crc: 0, packed: 0, size: 0, name_length, extra_length: 0 };
    zip.write_all(&LOCAL_SIGNATURE)?;
    write_header(zip, &header)?;
    zip.write_all(name)?;
    let Some(content) = content else { return Ok(header) };

    let start = zip.written;
    let mut content = CrcReader::new(content);
    let mut encoder = DeflateEncoder::new(&mut *zip, Compression::default());
    header.size = small(io::copy(&mut content, &mut encoder)?)?;
    encoder.finish()?;
    header.crc = content.crc().sum();
    header.packed = small(zip.written - start)?;
    zip.write_all(&header.descriptor())?;
    Ok(header)
}

/// What the header before the content and the record of the directory have in common.
fn write_header(into: &mut impl Write, header: &Header) -> io::Result<()> {
    let Header { flags, method, crc, packed, size, name_length, extra_length } = header;
    into.write_all(&VERSION)?;
    into.write_all(&flags.to_le_bytes())?;
    into.write_all(&method.to_le_bytes())?;
    into.write_all(&TIME)?;
    for number in [crc, packed, size] {
        into.write_all(&number.to_le_bytes())?;
    }
    into.write_all(&name_length.to_le_bytes())?;
    into.write_all(&extra_length.to_le_bytes())
}

/// The name as zip programs write it: without `.` parts, folders with `/` at their end. `None` for the root.
fn name(path: &[u8], is_file: bool) -> Option<Vec<u8>> {
    let parts: Vec<&[u8]> = path.split(|b| *b == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
    let mut name = parts.join(&b'/');
    if name.is_empty() {
        return None;
    }
    if !is_file {
        name.push(b'/');
    }
    Some(name)
}

fn small(number: u64) -> io::Result<u32> {
    u32::try_from(number).map_err(|_| too_large())
}

/// Never of a checked archive.
fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, "more than a zip archive takes")
}

/// Knows how much was written.
struct Counted<W> {
    inner: W,
    written: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

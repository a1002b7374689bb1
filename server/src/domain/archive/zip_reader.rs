//! A zip archive as the tar with the same files.
//!
//! Programs find the files of a zip in two ways: by the directory at its end, or header by header from its start. Here both
//! must tell the same, and every byte must belong to exactly one of them, so that all programs find the same.

use std::io::{self, BufRead as _, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Component, Path};

use flate2::CrcReader;
use flate2::bufread::DeflateDecoder;
use tar::{Builder, EntryType, Header};

use super::zip_directory::{self, Entry};
use super::zip_record::{self as record, DEFLATED, DESCRIPTOR, LOCAL, LOCAL_SIGNATURE};
use super::{Failure, Fault};

/// Writes the files of `zip` as a tar, the same one for the same files in the same order. Holds names and a few buffers in
/// memory, whatever the archive claims.
///
/// # Errors
/// [`Failure::Refused`] with the archive's first fault; what was written until then is worth nothing.
pub fn to_tar(zip: &mut (impl Read + Seek), tar: impl Write) -> Result<(), Failure> {
    let (entries, directory) = zip_directory::read(zip)?;
    let mut tar = Builder::new(tar);
    let mut at = 0;
    for entry in &entries {
        let content = local_header(zip, entry, at)?;
        let end = content + u64::from(entry.header.packed);
        if end > directory {
            return Err(Fault::Zip { at, what: "its directory starts within an entry" }.into());
        }
        add(&mut tar, zip, entry)?;
        at = end + descriptor(zip, entry, end)?;
    }
    if at != directory {
        return Err(Fault::Zip { at, what: "it has bytes that belong to no entry" }.into());
    }
    tar.into_inner()?.flush()?;
    Ok(())
}

/// Reads the header that must be at `at`; where its content starts.
fn local_header(zip: &mut (impl Read + Seek), entry: &Entry, at: u64) -> Result<u64, Failure> {
    let fault = |what| Failure::from(Fault::Zip { at, what });
    if entry.offset != at {
        return Err(fault("it has bytes that belong to no entry, or to two"));
    }
    zip.seek(SeekFrom::Start(at))?;
    let mut fixed = [0; LOCAL];
    let cut = |_| fault("an entry is cut short");
    zip.read_exact(&mut fixed).map_err(cut)?;
    let header = record::Header::read(&fixed[6..]);
    if !fixed.starts_with(&LOCAL_SIGNATURE) || !entry.header.agrees(&header) {
        return Err(fault("an entry's header isn't what the directory says"));
    }
    let (name_length, extra_length) = (usize::from(header.name_length), usize::from(header.extra_length));
    let mut variable = vec![0; name_length + extra_length];
    zip.read_exact(&mut variable).map_err(cut)?;
    let (name, extra) = variable.split_at(name_length);
    if name != entry.name.as_bytes() || !record::extra_is_fit(extra, name) {
        return Err(fault("an entry's header has another name than the directory, or unfit extra fields"));
    }
    Ok(at + (LOCAL + variable.len()) as u64)
}

/// Bytes of the record after the content, which must be there if the flags say so.
fn descriptor(zip: &mut (impl Read + Seek), entry: &Entry, at: u64) -> Result<u64, Failure> {
    if entry.header.flags & DESCRIPTOR == 0 {
        return Ok(0);
    }
    zip.seek(SeekFrom::Start(at))?;
    let (expected, mut found) = (entry.header.descriptor(), Vec::new());
    zip.take(expected.len() as u64).read_to_end(&mut found)?;
    if found == expected {
        Ok(expected.len() as u64)
    } else if found.starts_with(&expected[4..]) {
        Ok((expected.len() - 4) as u64)
    } else {
        Err(Fault::Zip { at, what: "an entry's sizes after its content aren't what the directory says" }.into())
    }
}

/// Adds the entry whose content starts where `zip` stands. Times aren't kept: the same files must give the same tar.
fn add(tar: &mut Builder<impl Write>, zip: &mut impl Read, entry: &Entry) -> Result<(), Failure> {
    let Entry { header: packed_header, name, .. } = entry;
    let mut packed = BufReader::new(zip.take(packed_header.packed.into()));
    let source: Box<dyn Read + '_> = match packed_header.method {
        DEFLATED => Box::new(DeflateDecoder::new(&mut packed)),
        _ => Box::new(&mut packed),
    };
    let mut content = CrcReader::new(source);
    let mut header = Header::new_gnu();
    header.set_entry_type(if entry.is_file { EntryType::Regular } else { EntryType::Directory });
    header.set_mode(if !entry.is_file || entry.is_executable { 0o755 } else { 0o644 });
    header.set_size(packed_header.size.into());
    let damaged = |error: io::Error| match error.kind() {
        ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::UnexpectedEof => {
            Failure::from(Fault::Content(name.clone()))
        }
        _ => Failure::from(error),
    };
    if Path::new(name).components().any(|part| part != Component::CurDir) {
        let limited = content.by_ref().take(packed_header.size.into());
        tar.append_data(&mut header, name, limited).map_err(damaged)?;
    }
    let figures = (content.crc().amount(), content.crc().sum());
    let more = content.read(&mut [0]).map_err(damaged)?;
    drop(content);
    if figures != (packed_header.size, packed_header.crc) || more > 0 || !packed.fill_buf()?.is_empty() {
        return Err(Fault::Content(name.clone()).into());
    }
    Ok(())
}

//! The list of entries at the end of a zip archive.

use std::io::{BufReader, Read, Seek, SeekFrom};

use super::names::Names;
use super::zip_record::{CENTRAL, CENTRAL_SIGNATURE, END, END_SIGNATURE, Header, extra_is_fit, u16_at, u32_at};
use super::{Failure, Fault, MAX_ENTRIES, MAX_PATH, MAX_UNPACKED};

/// An entry as the directory has it.
#[derive(Debug)]
pub(super) struct Entry {
    /// Where its own header starts.
    pub(super) offset: u64,
    pub(super) header: Header,
    pub(super) name: String,
    pub(super) is_file: bool,
    pub(super) is_executable: bool,
}

/// All entries, in the order in which they stand in the archive, and where the directory starts. All rules about names,
/// kinds and sizes hold for them.
pub(super) fn read(zip: &mut (impl Read + Seek)) -> Result<(Vec<Entry>, u64), Failure> {
    let (at, count, length, end) = end_record(zip)?;
    if count > MAX_ENTRIES {
        return Err(Fault::Entries.into());
    }
    if at.checked_add(length) != Some(end) {
        let what = "its directory isn't where its end record says";
        return Err(Fault::Zip { at: end, what }.into());
    }
    zip.seek(SeekFrom::Start(at))?;
    let mut directory = BufReader::new(zip.take(length));
    let (mut names, mut entries, mut unpacked) = (Names::default(), Vec::new(), 0);
    for _ in 0..count {
        let entry = entry(&mut directory, at, &mut names)?;
        unpacked += u64::from(entry.header.size);
        if unpacked > MAX_UNPACKED {
            return Err(Fault::LargeUnpacked.into());
        }
        entries.push(entry);
    }
    if directory.read(&mut [0])? > 0 {
        return Err(Fault::Zip { at, what: "its directory has more than its entries" }.into());
    }
    names.finish()?;
    entries.sort_by_key(|entry| entry.offset);
    Ok((entries, at))
}

/// Where the directory starts, how many entries and bytes it has, and where the record of this starts. A comment may follow
/// the record; one in which programs might see another end record isn't taken.
fn end_record(zip: &mut (impl Read + Seek)) -> Result<(u64, usize, u64, u64), Failure> {
    let size = zip.seek(SeekFrom::End(0))?;
    let start = size.saturating_sub((END + usize::from(u16::MAX)) as u64);
    zip.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    zip.take(size - start).read_to_end(&mut tail)?;
    let mut found = tail.windows(END).enumerate().filter(|(_, record)| record.starts_with(&END_SIGNATURE));
    let Some((place, record)) = found.next() else {
        return Err(Fault::Zip { at: size, what: "it ends without an end record" }.into());
    };
    let at = start + place as u64;
    let fault = |what| Failure::from(Fault::Zip { at, what });
    if place + END + usize::from(u16_at(record, 20)) != tail.len() || found.next().is_some() {
        return Err(fault("its end record isn't its end"));
    }
    let (disks, here, all) = (u32_at(record, 4), u16_at(record, 8), u16_at(record, 10));
    if disks != 0 || here != all {
        return Err(fault("it is a part of a larger one"));
    }
    Ok((u32_at(record, 16).into(), all.into(), u32_at(record, 12).into(), at))
}

fn entry(directory: &mut impl Read, at: u64, names: &mut Names) -> Result<Entry, Failure> {
    let fault = |what| Failure::from(Fault::Zip { at, what });
    let cut = |_| fault("its directory is cut short");
    let mut fixed = [0; CENTRAL];
    directory.read_exact(&mut fixed).map_err(cut)?;
    if !fixed.starts_with(&CENTRAL_SIGNATURE) {
        return Err(fault("its directory is damaged"));
    }
    let header = Header::read(&fixed[8..]);
    let mut variable = |length: u16| -> Result<Vec<u8>, Failure> {
        let mut bytes = vec![0; length.into()];
        directory.read_exact(&mut bytes).map_err(cut)?;
        Ok(bytes)
    };
    let (name, extra) = (variable(header.name_length)?, variable(header.extra_length)?);
    variable(u16_at(&fixed, 32))?;

    let shown = String::from_utf8_lossy(name.get(..MAX_PATH).unwrap_or(&name)).into_owned();
    header.admit(&shown)?;
    let offset = u32_at(&fixed, 42);
    let large = [header.packed, header.size, offset].contains(&u32::MAX);
    if large || !extra_is_fit(&extra, &name) || u16_at(&fixed, 34) != 0 {
        return Err(fault("its directory has an entry with another size, name or place in its extra fields"));
    }
    let attributes = u32_at(&fixed, 38);
    let is_file = kind(&name, attributes, &shown)?;
    if !is_file && header.size > 0 {
        return Err(Fault::Special(shown).into());
    }
    names.admit(&name, is_file)?;
    let name = String::from_utf8(name).map_err(|_| Fault::Name(shown))?;
    Ok(Entry { offset: offset.into(), header, name, is_file, is_executable: attributes >> 16 & 0o111 != 0 })
}

/// Whether it is a file; else it is a folder. The name, the attributes of DOS and the mode of Unix may tell, and must agree.
fn kind(name: &[u8], attributes: u32, shown: &str) -> Result<bool, Fault> {
    const DOS_FOLDER: u32 = 0x10;
    let is_file = !name.ends_with(b"/");
    match attributes >> 28 {
        0o12 => Err(Fault::Link(shown.to_owned())),
        0 | 0o10 if is_file && attributes & DOS_FOLDER == 0 => Ok(true),
        0 | 0o4 if !is_file => Ok(false),
        _ => Err(Fault::Special(shown.to_owned())),
    }
}

//! The records of a zip archive: where their fields are, and what of them is taken.

use super::Fault;

/// What an entry's header says, both before its content and in the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) flags: u16,
    pub(super) method: u16,
    pub(super) crc: u32,
    /// Bytes in the archive.
    pub(super) packed: u32,
    /// Bytes when unpacked.
    pub(super) size: u32,
    pub(super) name_length: u16,
    pub(super) extra_length: u16,
}

/// Bytes of the fixed part of the header before an entry's content.
pub(super) const LOCAL: usize = 30;
/// Of a record of the directory.
pub(super) const CENTRAL: usize = 46;
/// Of the record at the archive's end.
pub(super) const END: usize = 22;

pub(super) const LOCAL_SIGNATURE: [u8; 4] = *b"PK\x03\x04";
pub(super) const CENTRAL_SIGNATURE: [u8; 4] = *b"PK\x01\x02";
pub(super) const END_SIGNATURE: [u8; 4] = *b"PK\x05\x06";
pub(super) const DESCRIPTOR_SIGNATURE: [u8; 4] = *b"PK\x07\x08";

pub(super) const STORED: u16 = 0;
pub(super) const DEFLATED: u16 = 8;

/// Checksum and sizes follow the content.
pub(super) const DESCRIPTOR: u16 = 1 << 3;
/// The name is UTF-8.
pub(super) const UTF8: u16 = 1 << 11;
/// Encrypted, in one of three ways.
const ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;
/// How hard the packer tried.
const EFFORT: u16 = 1 << 1 | 1 << 2;

impl Header {
    /// From its fields, which start at the flags in both kinds of record.
    pub(super) fn read(fields: &[u8]) -> Self {
        Self {
            flags: u16_at(fields, 0),
            method: u16_at(fields, 2),
            crc: u32_at(fields, 8),
            packed: u32_at(fields, 12),
            size: u32_at(fields, 16),
            name_length: u16_at(fields, 20),
            extra_length: u16_at(fields, 22),
        }
    }

    /// Whether it is of a kind that is taken.
    pub(super) fn admit(&self, name: &str) -> Result<(), Fault> {
        if self.flags & ENCRYPTED != 0 {
            return Err(Fault::Encrypted(name.to_owned()));
        }
        if ![STORED, DEFLATED].contains(&self.method) || self.flags & !(DESCRIPTOR | UTF8 | EFFORT) != 0 {
            return Err(Fault::Compression(name.to_owned()));
        }
        Ok(())
    }

    /// Whether the header before the content says the same as this one of the directory: where sizes follow the content,
    /// it may leave them out.
    pub(super) fn agrees(&self, local: &Self) -> bool {
        let figures = |header: &Self| (header.crc, header.packed, header.size);
        let left_out = self.flags & DESCRIPTOR != 0 && figures(local) == (0, 0, 0);
        (self.flags, self.method) == (local.flags, local.method) && (left_out || figures(self) == figures(local))
    }

    /// What follows the content, if anything does, is this; its signature may be left out.
    pub(super) fn descriptor(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        let fields = [DESCRIPTOR_SIGNATURE, self.crc.to_le_bytes(), self.packed.to_le_bytes(), self.size.to_le_bytes()];
        for (into, field) in bytes.chunks_exact_mut(4).zip(fields) {
            into.copy_from_slice(&field);
        }
        bytes
    }
}

/// Whether extra fields are well-formed and none of them gives the entry another name or another size.
pub(super) fn extra_is_fit(mut extra: &[u8], name: &[u8]) -> bool {
    const ZIP64: u16 = 0x0001;
    const UNICODE_PATH: u16 = 0x7075;
    while extra.len() >= 4 {
        let (id, length) = (u16_at(extra, 0), usize::from(u16_at(extra, 2)));
        let Some(content) = extra.get(4..4 + length) else { return false };
        match id {
            ZIP64 => return false,
            UNICODE_PATH if content.get(5..) != Some(name) => return false,
            _ => {}
        }
        extra = &extra[4 + length..];
    }
    extra.is_empty()
}

/// The two bytes there; 0 where the record is too short, which its reader has ruled out.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).copied().map_or(0, u16::from_le_bytes)
}

/// The four bytes there, likewise.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).copied().map_or(0, u32::from_le_bytes)
}

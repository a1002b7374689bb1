//! What an archive of template sources may hold. A tar is checked while it comes in, block by block, so that a bad one is
//! refused at its first bad entry and nothing is ever held in memory but names. A zip has its list of files at its end; it
//! is read when it is there, and kept as the tar with the same files.
//!
//! Every reading of it by another program must find the same files: what programs disagree on is refused, not guessed.

mod names;
mod tar_reader;
mod zip_directory;
mod zip_reader;
mod zip_record;
mod zip_writer;

pub use tar_reader::Check;
pub use zip_reader::to_tar;
pub use zip_writer::to_zip;

/// Bytes that an archive may have.
pub const MAX_SIZE: u64 = 100 * 1024 * 1024;
/// Bytes that its files may have.
pub const MAX_UNPACKED: u64 = 100 * 1024 * 1024;
/// Entries that it may have.
pub const MAX_ENTRIES: usize = 10_000;
/// Bytes of one entry's path.
const MAX_PATH: usize = 1024;
/// Bytes of one of its parts: file systems take no more.
const MAX_PART: usize = 255;
/// Folders that one entry may be deep in.
const MAX_DEPTH: usize = 64;
/// Bytes of a header that extends the next one.
const MAX_EXTENSION: u64 = 64 * 1024;

/// Why an archive is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A header's checksum is wrong: not a tar archive, or a damaged one.
    #[error("isn't a tar archive: the header at byte {0} is damaged")]
    Damaged(u64),
    /// Another kind of archive, or one within another.
    #[error("isn't a tar archive but {0}")]
    OtherKind(&'static str),
    /// Not a zip archive, or one that programs read in different ways.
    #[error("isn't a zip archive that every program reads alike: {what}, at byte {at}")]
    Zip {
        /// Where.
        at: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// Nobody could read it without a password.
    #[error("has {0:?}, which is encrypted")]
    Encrypted(String),
    /// Packed in a way that isn't read here.
    #[error("has {0:?}, which is compressed in another way than `deflate`")]
    Compression(String),
    /// Its content isn't what its header says.
    #[error("has {0:?}, whose content is damaged: it doesn't match its size or checksum")]
    Content(String),
    /// It ends before its end mark.
    #[error("is unfinished: it ends after {0} bytes without its end mark")]
    Unfinished(u64),
    /// More after the end mark than padding.
    #[error("has data after its end mark")]
    Trailing,
    /// No file in it.
    #[error("has no files")]
    Empty,
    /// Over [`MAX_SIZE`].
    #[error("has more than 100 MiB")]
    Large,
    /// Over [`MAX_UNPACKED`].
    #[error("has more than 100 MiB when unpacked")]
    LargeUnpacked,
    /// Over [`MAX_ENTRIES`].
    #[error("has more than 10000 entries")]
    Entries,
    /// An extended header is over its limit, broken, or contradicts another one.
    #[error("has an extended header at byte {0} that is too long, broken or contradictory")]
    Extension(u64),
    /// Symbolic or hard.
    #[error("has the link {0:?}; only files and folders are taken")]
    Link(String),
    /// A device, FIFO, sparse file, or something that only one program knows.
    #[error("has {0:?}, which is neither a file nor a folder")]
    Special(String),
    /// Not text.
    #[error("has an entry whose name isn't UTF-8 or has control characters: {0:?}")]
    Name(String),
    /// A name that some systems keep for devices.
    #[error("has {0:?}, which names a device on some systems")]
    Reserved(String),
    /// A name without anything in it, or too long, or too deep.
    #[error(
        "has an entry whose name is empty, over 1024 bytes, has a part over 255 bytes or is over 64 folders deep: {0:?}"
    )]
    Length(String),
    /// It starts at the root of a file system or with a drive.
    #[error("has an entry with an absolute path: {0:?}")]
    Absolute(String),
    /// It leaves the archive.
    #[error("has an entry with `..` in its path: {0:?}")]
    Parent(String),
    /// Twice, as file systems that ignore case see it.
    #[error("has {0:?} twice, at least where upper and lower case are the same")]
    Duplicate(String),
    /// A file in whose place another entry needs a folder.
    #[error("has {0:?} both as a file and as a folder")]
    FileAndFolder(String),
}

/// Why an archive isn't converted.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The archive is at fault.
    #[error("the archive {0}")]
    Refused(#[from] Fault),
    /// It can't be read, or the result can't be written.
    #[error("the archive can't be converted: {0}")]
    Io(#[from] std::io::Error),
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod zip_tests;

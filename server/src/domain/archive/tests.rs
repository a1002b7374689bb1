use tar::{Builder, EntryType, Header};

use super::*;

fn header(path: &str, kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    header
}

/// An archive of raw entries, written without the checks of the library.
fn archive(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (path, kind, content) in entries {
        bytes.extend_from_slice(header(path, *kind, content.len() as u64).as_bytes());
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

fn file(path: &str) -> (&str, EntryType, &[u8]) {
    (path, EntryType::Regular, b"x")
}

fn record(text: &str) -> Vec<u8> {
    let length = (1..).find(|n: &usize| n.to_string().len() + 2 + text.len() == *n).unwrap();
    format!("{length} {text}\n").into_bytes()
}

fn check(bytes: &[u8]) -> Result<(), Fault> {
    let whole = checked_in_pieces(bytes, bytes.len().max(1));
    assert_eq!(checked_in_pieces(bytes, 7), whole, "pieces don't matter");
    whole
}

fn checked_in_pieces(bytes: &[u8], size: usize) -> Result<(), Fault> {
    let mut check = Check::default();
    for piece in bytes.chunks(size) {
        check.feed(piece)?;
    }
    check.finish()
}

#[test]
fn what_tar_programs_write_is_taken() {
    let mut builder = Builder::new(Vec::new());
    builder.append_data(&mut header("", EntryType::Directory, 0), "./modules/", std::io::empty()).unwrap();
    builder.append_data(&mut header("", EntryType::Regular, 3), "main.tf", &b"abc"[..]).unwrap();
    let long = format!("modules/{}/é.tf", "deep-".repeat(40));
    builder.append_data(&mut header("", EntryType::Regular, 600), &long, &[7; 600][..]).unwrap();
    builder.append_pax_extensions([("path", &b"modules/pax.tf"[..]), ("mtime", &b"1.5"[..])]).unwrap();
    builder.append(&header("modules/p", EntryType::Regular, 1), &b"x"[..]).unwrap();
    assert_eq!(check(&builder.into_inner().unwrap()), Ok(()));

    let git = record("comment=0123456789abcdef");
    let commented =
        [("pax_global_header", EntryType::XGlobalHeader, &*git), ("./", EntryType::Directory, b""), file("a")];
    assert_eq!(check(&archive(&commented)), Ok(()));
    let mut padded = archive(&[file("a")]);
    padded.resize(10240, 0);
    assert_eq!(check(&padded), Ok(()));
}

#[test]
fn each_bad_archive_is_refused_with_its_reason() {
    use EntryType::{
        Block, Char, Directory, Fifo, GNULongName, GNUSparse, Link, Regular, Symlink, XGlobalHeader, XHeader,
    };
    let sized = record("size=0");
    let global_path = record("path=b");
    let nul = record("path=a\0b");
    let parent = record("path=../x");
    let two = [record("path=a"), record("path=b")].concat();
    let long = "a".repeat(1025);
    let part = "a".repeat(256);
    let deep = "a/".repeat(65);
    let name = |text: &str| text.to_owned();
    let table: Vec<(Vec<u8>, Fault)> = vec![
        (b"not a tar archive, but text ".repeat(40), Fault::Damaged(0)),
        (vec![], Fault::Unfinished(0)),
        (
            [b"PK\x03\x04".as_slice(), &[0; 512]].concat(),
            Fault::OtherKind("a zip archive; send it as `application/zip`"),
        ),
        ([b"\x1f\x8b".as_slice(), &[0; 512]].concat(), Fault::OtherKind("a gzip file; send it unpacked")),
        (archive(&[]), Fault::Empty),
        (archive(&[("a/", Directory, b"")]), Fault::Empty),
        (archive(&[file("../a")]), Fault::Parent(name("../a"))),
        (archive(&[file("a/../../b")]), Fault::Parent(name("a/../../b"))),
        (archive(&[file("a\\..\\b")]), Fault::Parent(name("a\\..\\b"))),
        (archive(&[("..", Directory, b"")]), Fault::Parent(name(".."))),
        (archive(&[file("/etc/passwd")]), Fault::Absolute(name("/etc/passwd"))),
        (archive(&[file("\\a")]), Fault::Absolute(name("\\a"))),
        (archive(&[file("C:a")]), Fault::Absolute(name("C:a"))),
        (archive(&[("a", Symlink, b"")]), Fault::Link(name("a"))),
        (archive(&[("a", Link, b"")]), Fault::Link(name("a"))),
        (archive(&[("a", Char, b"")]), Fault::Special(name("a"))),
        (archive(&[("a", Block, b"")]), Fault::Special(name("a"))),
        (archive(&[("a", Fifo, b"")]), Fault::Special(name("a"))),
        (archive(&[("a", GNUSparse, b"")]), Fault::Special(name("a"))),
        (archive(&[("a/", Regular, b"")]), Fault::Special(name("a/"))),
        (archive(&[file("a\nb")]), Fault::Name(name("a\nb"))),
        (archive(&[("h", XHeader, &nul), file("a")]), Fault::Name(name("a\0b"))),
        (archive(&[("h", GNULongName, b"a\xff"), file("a")]), Fault::Name(name("a\u{fffd}"))),
        (archive(&[("h", XHeader, &parent), file("a")]), Fault::Parent(name("../x"))),
        (archive(&[("h", XHeader, &sized), file("a")]), Fault::Extension(0)),
        (archive(&[("h", XHeader, &two), file("a")]), Fault::Extension(0)),
        (archive(&[("h", XHeader, b"7 path=a\n"), file("a")]), Fault::Extension(0)),
        (archive(&[("h", XGlobalHeader, &global_path), file("a")]), Fault::Extension(0)),
        (archive(&[("h", GNULongName, b"a"), ("h", GNULongName, b"b"), file("c")]), Fault::Extension(1024)),
        (archive(&[("h", GNULongName, &vec![b'a'; 70_000]), file("c")]), Fault::Extension(0)),
        (archive(&[("h", GNULongName, long.as_bytes()), file("c")]), Fault::Length("a".repeat(1024))),
        (archive(&[("h", GNULongName, deep.as_bytes()), ("c", Directory, b"")]), Fault::Length(deep.clone())),
        (archive(&[("h", GNULongName, part.as_bytes()), file("c")]), Fault::Length(part.clone())),
        (archive(&[file("./")]), Fault::Special(name("./"))),
        (archive(&[file(".")]), Fault::Length(name("."))),
        (archive(&[file("con")]), Fault::Reserved(name("con"))),
        (archive(&[file("a/Lpt1/b")]), Fault::Reserved(name("a/Lpt1/b"))),
        (archive(&[file("a"), file("a")]), Fault::Duplicate(name("a"))),
        (archive(&[file("a"), file("./a")]), Fault::Duplicate(name("./a").replace("./", ""))),
        (archive(&[file("Main.tf"), file("main.TF")]), Fault::Duplicate(name("main.TF"))),
        (archive(&[file("É"), file("é")]), Fault::Duplicate(name("é"))),
        (archive(&[file("a"), file("A/b")]), Fault::FileAndFolder(name("a"))),
    ];
    for (number, (bytes, fault)) in table.into_iter().enumerate() {
        assert_eq!(check(&bytes), Err(fault), "row {number}");
    }
}

#[test]
fn an_archive_must_be_whole_and_nothing_more() {
    let whole = archive(&[("a", EntryType::Regular, &[1; 700])]);
    for length in 0..whole.len() {
        assert_eq!(checked_in_pieces(&whole[..length], 512), Err(Fault::Unfinished(length as u64)));
    }
    let mut more = whole.clone();
    more.extend_from_slice(&whole);
    assert_eq!(check(&more), Err(Fault::Trailing));
    for at in 0..512 {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x40;
        assert!(check(&damaged).is_err(), "byte {at}");
    }
}

#[test]
fn limits_hold_while_the_archive_comes_in() {
    // The header alone tells: ten gigabytes never come.
    let mut claims = Check::default();
    let big = header("zeros", EntryType::Regular, 10 << 30);
    assert_eq!(claims.feed(big.as_bytes()), Err(Fault::LargeUnpacked));

    let names: Vec<String> = (0..=MAX_ENTRIES).map(|n| n.to_string()).collect();
    let entries: Vec<_> = names.iter().map(|name| (name.as_str(), EntryType::Regular, &b""[..])).collect();
    assert_eq!(checked_in_pieces(&archive(&entries[..MAX_ENTRIES]), 65536), Ok(()));
    assert_eq!(checked_in_pieces(&archive(&entries), 65536), Err(Fault::Entries));

    let mut padded = Check::default();
    padded.feed(&archive(&[file("a")])).unwrap();
    let zeros = vec![0; 1 << 20];
    let fault = (0..=100).find_map(|_| padded.feed(&zeros).err());
    assert_eq!(fault, Some(Fault::Large));
}

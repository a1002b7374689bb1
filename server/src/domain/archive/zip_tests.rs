use std::io::{Cursor, Read as _, Write as _};

use proptest::prelude::*;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::zip_record::{CENTRAL, DEFLATED, DESCRIPTOR, END, LOCAL, STORED};
use super::*;

/// An entry to be written as it stands, whatever it claims.
#[derive(Clone)]
struct Item {
    name: Vec<u8>,
    content: Vec<u8>,
    size: u32,
    flags: u16,
    method: u16,
    attributes: u32,
    extra: Vec<u8>,
}

fn item(name: &str) -> Item {
    let (name, content) = (name.as_bytes().to_vec(), b"x".to_vec());
    Item { name, content, size: 1, flags: 0, method: STORED, attributes: 0, extra: Vec::new() }
}

fn folder(name: &str) -> Item {
    Item { content: Vec::new(), size: 0, ..item(name) }
}

fn with_mode(name: &str, mode: u32) -> Item {
    Item { attributes: mode << 16, ..item(name) }
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// An archive of raw entries, without the checks of the library.
fn raw(items: &[Item]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for item in items {
        let mut fields = Vec::new();
        fields.extend(item.flags.to_le_bytes());
        fields.extend(item.method.to_le_bytes());
        fields.extend([0; 4]);
        for number in [checksum(&item.content), item.content.len() as u32, item.size] {
            fields.extend(number.to_le_bytes());
        }
        fields.extend((item.name.len() as u16).to_le_bytes());
        fields.extend((item.extra.len() as u16).to_le_bytes());
        directory.extend(b"PK\x01\x02\x14\x03\x14\x00");
        directory.extend(&fields);
        directory.extend([0; 6]);
        directory.extend(item.attributes.to_le_bytes());
        directory.extend((bytes.len() as u32).to_le_bytes());
        directory.extend([&item.name[..], &item.extra[..]].concat());
        bytes.extend(b"PK\x03\x04\x14\x00");
        bytes.extend(&fields);
        bytes.extend([&item.name[..], &item.extra[..], &item.content[..]].concat());
    }
    let at = bytes.len() as u32;
    bytes.extend(&directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    for _ in 0..2 {
        bytes.extend((items.len() as u16).to_le_bytes());
    }
    for number in [directory.len() as u32, at] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend([0; 2]);
    bytes
}

/// The tar of a zip, which must be one that uploads of tar archives would take.
fn convert(zip: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut tar = Vec::new();
    match to_tar(&mut Cursor::new(zip), &mut tar) {
        Ok(()) => {}
        Err(Failure::Refused(fault)) => return Err(fault),
        Err(Failure::Io(error)) => panic!("memory doesn't fail: {error}"),
    }
    let mut check = Check::default();
    check.feed(&tar).and_then(|()| check.finish()).unwrap_or_else(|fault| panic!("a bad tar was made: {fault}"));
    Ok(tar)
}

/// Names, modes and contents.
fn files(tar: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
    let mut archive = tar::Archive::new(tar);
    let read = |mut entry: tar::Entry<'_, &[u8]>| {
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        (name, entry.header().mode().unwrap(), content)
    };
    archive.entries().unwrap().map(|entry| read(entry.unwrap())).collect()
}

fn sample() -> Vec<(String, u32, Vec<u8>)> {
    let deep = format!("modules/{}/é.tf", "deep-".repeat(40));
    vec![
        ("main.tf".to_owned(), 0o644, b"resource {}\n".repeat(5000)),
        ("modules/".to_owned(), 0o755, Vec::new()),
        (deep, 0o755, vec![7; 600]),
        ("empty".to_owned(), 0o644, Vec::new()),
    ]
}

/// A zip as the library writes it.
fn written(method: CompressionMethod, comment: &str) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, mode, content) in sample() {
        let options = SimpleFileOptions::default().compression_method(method).unix_permissions(mode);
        if name.ends_with('/') {
            zip.add_directory(name, options).unwrap();
        } else {
            zip.start_file(name, options).unwrap();
            zip.write_all(&content).unwrap();
        }
    }
    zip.set_comment(comment).unwrap();
    zip.finish().unwrap().into_inner()
}

#[test]
fn what_zip_programs_write_becomes_the_tar_with_the_same_files() {
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let zip = written(method, "0123456789abcdef, as git writes the commit");
        let tar = convert(&zip).unwrap();
        assert_eq!(files(&tar), sample());
        assert_eq!(convert(&zip).unwrap(), tar, "always the same bytes");
    }
}

#[test]
fn a_tar_becomes_a_zip_that_others_and_we_can_read() {
    let tar = convert(&written(CompressionMethod::Deflated, "")).unwrap();
    let mut zip = Vec::new();
    to_zip(&tar[..], &mut zip).unwrap();
    assert_eq!(convert(&zip).unwrap(), tar, "there and back again");
    let mut archive = ZipArchive::new(Cursor::new(&zip)).unwrap();
    let read = |index| {
        let mut file = archive.by_index(index).unwrap();
        let mut content = Vec::new();
        file.read_to_end(&mut content).unwrap();
        (file.name().unwrap().into_owned(), file.unix_mode().unwrap() & 0o777, content)
    };
    assert_eq!((0..4).map(read).collect::<Vec<_>>(), sample());
}

#[test]
fn names_and_kinds_keep_the_rules_of_tar_archives() {
    let name = |text: &str| text.to_owned();
    let long = "a".repeat(1025);
    let part = "a".repeat(256);
    let not_text = Item { name: b"a\xff".to_vec(), ..item("") };
    let table = [
        (vec![], Fault::Empty),
        (vec![folder("a/")], Fault::Empty),
        (vec![item("../a")], Fault::Parent(name("../a"))),
        (vec![item("a/../../b")], Fault::Parent(name("a/../../b"))),
        (vec![item("a\\..\\b")], Fault::Parent(name("a\\..\\b"))),
        (vec![item("/etc/passwd")], Fault::Absolute(name("/etc/passwd"))),
        (vec![item("C:a")], Fault::Absolute(name("C:a"))),
        (vec![item("a\0b")], Fault::Name(name("a\0b"))),
        (vec![item("a\nb")], Fault::Name(name("a\nb"))),
        (vec![not_text], Fault::Name(name("a\u{fffd}"))),
        (vec![item("")], Fault::Length(name(""))),
        (vec![item(".")], Fault::Length(name("."))),
        (vec![item(&long)], Fault::Length("a".repeat(1024))),
        (vec![item(&part)], Fault::Length(part.clone())),
        (vec![item("a/NUL")], Fault::Reserved(name("a/NUL"))),
        (vec![item("a"), item("a")], Fault::Duplicate(name("a"))),
        (vec![item("Main.tf"), item("main.TF")], Fault::Duplicate(name("main.TF"))),
        (vec![item("a"), item("a/b")], Fault::FileAndFolder(name("a"))),
        (vec![with_mode("a", 0o120_777)], Fault::Link(name("a"))),
        (vec![with_mode("a", 0o020_666)], Fault::Special(name("a"))),
        (vec![with_mode("a", 0o010_666)], Fault::Special(name("a"))),
        (vec![with_mode("a", 0o040_755)], Fault::Special(name("a"))),
        (vec![with_mode("a/", 0o100_644)], Fault::Special(name("a/"))),
        (vec![Item { attributes: 0x10, ..item("a") }], Fault::Special(name("a"))),
        (vec![item("a/")], Fault::Special(name("a/"))),
        (vec![Item { flags: 1, ..item("a") }], Fault::Encrypted(name("a"))),
        (vec![Item { flags: 1 << 6 | 1, ..item("a") }], Fault::Encrypted(name("a"))),
        (vec![Item { flags: 1 << 13, ..item("a") }], Fault::Encrypted(name("a"))),
        (vec![Item { flags: 1 << 5, ..item("a") }], Fault::Compression(name("a"))),
        (vec![Item { method: 12, ..item("a") }], Fault::Compression(name("a"))),
        (vec![Item { method: 99, ..item("a") }], Fault::Compression(name("a"))),
        (vec![Item { method: DEFLATED, ..item("a") }], Fault::Content(name("a"))),
        (vec![Item { size: 0, ..item("a") }], Fault::Content(name("a"))),
        (vec![Item { size: 2, ..item("a") }], Fault::Content(name("a"))),
    ];
    for (number, (items, fault)) in table.into_iter().enumerate() {
        assert_eq!(convert(&raw(&items)), Err(fault), "row {number}");
    }
    let taken = [folder("./"), folder("a/"), item("a/con.tf"), with_mode("b", 0o100_755), item("com")];
    let names: Vec<_> =
        files(&convert(&raw(&taken)).unwrap()).into_iter().map(|(name, mode, _)| (name, mode)).collect();
    let wanted = [("a/", 0o755), ("a/con.tf", 0o644), ("b", 0o755), ("com", 0o644)];
    assert_eq!(names, wanted.map(|(name, mode)| (name.to_owned(), mode)));
}

/// Each change makes programs that start at the end and programs that start at the front find different things.
#[test]
fn what_programs_read_in_different_ways_is_refused() {
    let good = raw(&[item("a"), item("b")]);
    let local = LOCAL + 2;
    let directory = 2 * local;
    let end = directory + 2 * (CENTRAL + 1);
    assert_eq!(end + END, good.len());
    let extra = |id: u16, content: &[u8]| {
        let field = [&id.to_le_bytes()[..], &(content.len() as u16).to_le_bytes(), content].concat();
        raw(&[Item { extra: field, ..item("a") }])
    };
    let changed = |at: usize, bytes: &[u8]| {
        let mut archive = good.clone();
        archive[at..at + bytes.len()].copy_from_slice(bytes);
        archive
    };
    let second_directory = {
        let mut archive = good[..end].to_vec();
        archive.extend([&good[directory..end], &good[end..]].concat());
        archive
    };
    let overlap = {
        let mut archive = good.clone();
        archive[directory + CENTRAL + 1 + 42..][..4].copy_from_slice(&[0; 4]);
        archive
    };
    let table: Vec<(&str, Vec<u8>, &str)> = vec![
        ("nothing", vec![], "without an end record"),
        ("no zip", b"this is not a zip archive".repeat(9), "without an end record"),
        ("a tar", [0; 1024].to_vec(), "without an end record"),
        ("cut short", good[..good.len() - 1].to_vec(), "without an end record"),
        ("something before it", [b"#!/bin/sh\n", &good[..]].concat(), "isn't where"),
        ("something after it", [&good[..], b"x"].concat(), "isn't its end"),
        ("another zip after it", [&good[..], &good[..]].concat(), "isn't its end"),
        ("two directories", second_directory, "isn't where"),
        ("another name at the content", changed(LOCAL, b"c"), "another name"),
        ("another name in the directory", changed(directory + CENTRAL, b"c"), "another name"),
        ("another checksum at the content", changed(14, &[0]), "isn't what the directory says"),
        ("another size at the content", changed(18, &[2]), "isn't what the directory says"),
        ("another method at the content", changed(8, &[8]), "isn't what the directory says"),
        ("encrypted at the content only", changed(6, &[1]), "isn't what the directory says"),
        ("no header at the content", changed(0, b"XX"), "isn't what the directory says"),
        ("no header in the directory", changed(directory, b"XX"), "directory is damaged"),
        ("an entry that isn't in the directory", changed(end + 8, &[1, 0, 1, 0]), "more than its entries"),
        ("too many entries announced", changed(end + 8, &[3, 0, 3, 0]), "cut short"),
        ("one of several disks", changed(end + 4, &[1]), "part of a larger"),
        ("counts that differ", changed(end + 8, &[1]), "part of a larger"),
        ("two entries of the same bytes", overlap, "to two"),
        ("a size of another format", changed(directory + 24, &[255; 4]), "another size"),
        ("64-bit sizes", extra(1, &[0; 16]), "another size, name"),
        ("another name in Unicode", extra(0x7075, b"\x01\0\0\0\0b"), "another size, name"),
        ("a broken extra field", raw(&[Item { extra: vec![1, 2, 9, 0], ..item("a") }]), "another size, name"),
        (
            "sizes after the content that aren't there",
            raw(&[Item { flags: DESCRIPTOR, ..item("a") }]),
            "after its content",
        ),
    ];
    for (what, archive, said) in table {
        match convert(&archive) {
            Err(fault @ Fault::Zip { .. }) if fault.to_string().contains(said) => {}
            other => panic!("{what}: {other:?}"),
        }
    }
    assert!(convert(&extra(0x7075, b"\x01\0\0\0\0a")).is_ok());
    assert!(convert(&extra(0x5455, &[0; 5])).is_ok());
    assert_eq!(convert(&changed(LOCAL + 1, b"y")), Err(Fault::Content("a".to_owned())));
}

#[test]
fn limits_are_looked_at_before_anything_is_unpacked() {
    let bomb = Item { size: MAX_UNPACKED as u32 + 1, method: DEFLATED, ..item("zeros") };
    assert_eq!(convert(&raw(&[bomb])), Err(Fault::LargeUnpacked));
    let half = Item { size: MAX_UNPACKED as u32 / 2 + 1, ..item("a") };
    let other = Item { name: b"b".to_vec(), ..half.clone() };
    assert_eq!(convert(&raw(&[half, other])), Err(Fault::LargeUnpacked));
    let many: Vec<_> = (0..=MAX_ENTRIES).map(|n| item(&n.to_string())).collect();
    assert!(convert(&raw(&many[..MAX_ENTRIES])).is_ok());
    assert_eq!(convert(&raw(&many)), Err(Fault::Entries));

    // One that says less than it unpacks to is left at the first byte over.
    let mut packer = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(&vec![0; 50 << 20]).unwrap();
    let liar = Item { content: packer.finish().unwrap(), method: DEFLATED, size: 10, ..item("zeros") };
    let mut tar = Vec::new();
    let refused = to_tar(&mut Cursor::new(raw(&[liar])), &mut tar);
    assert!(matches!(refused, Err(Failure::Refused(Fault::Content(_)))), "{refused:?}");
    assert!(tar.len() <= 4096, "{} bytes were written", tar.len());
}

/// Changes of a few bytes, cuts, and pieces moved about.
fn mutated(base: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let length = base.len();
    let changes = prop::collection::vec((0..length, any::<u8>()), 0..6);
    let piece = (0..length, 0..length, 0..length);
    (changes, piece, any::<prop::sample::Index>(), 0..4_u8).prop_map(move |(changes, (from, to, at), cut, how)| {
        let mut bytes = base.clone();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        match how {
            0 => bytes.truncate(cut.index(length)),
            1 => {
                let piece = bytes[from.min(to)..from.max(to)].to_vec();
                bytes.splice(at..at, piece);
            }
            2 => drop(bytes.drain(from.min(to)..from.max(to))),
            _ => {}
        }
        bytes
    })
}

fn small_zip() -> Vec<u8> {
    let mut zip = Vec::new();
    let tar = convert(&raw(&[folder("a/"), item("a/b"), with_mode("c", 0o100_755)])).unwrap();
    to_zip(&tar[..], &mut zip).unwrap();
    zip
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// `convert` holds what is taken against the check of tar archives.
    #[test]
    fn a_mutated_zip_is_refused_or_taken_whole(zip in prop_oneof![mutated(small_zip()), mutated(raw(&[item("a"), item("b/c")]))]) {
        if let Ok(tar) = convert(&zip) {
            prop_assert!(tar.len() < 16 * 1024, "{} bytes of {}", tar.len(), zip.len());
            prop_assert!(ZipArchive::new(Cursor::new(&zip)).is_ok(), "another program can't read what was taken");
        }
    }

    #[test]
    fn a_mutated_tar_is_refused_or_taken_whole(tar in mutated(convert(&small_zip()).unwrap()), size in 1..1500_usize) {
        let mut check = Check::default();
        let mut taken = tar.chunks(size).try_for_each(|piece| check.feed(piece));
        if taken.is_ok() {
            taken = check.finish();
        }
        // What is taken, any reader can read, and the writer of zips too.
        if taken.is_ok() {
            let mut zip = Vec::new();
            prop_assert!(to_zip(&tar[..], &mut zip).is_ok());
            prop_assert!(convert(&zip).is_ok(), "its zip isn't taken back");
        }
    }
}

//! `/api/v2/files`: good archives once and in both forms, bad ones never.

use std::io::{Cursor, Read as _, Write as _};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use orgplane_tests::world::text;
use orgplane_tests::{Archive, Databases, Deployment, Rest, SHORT, eventually};
use reqwest::Method;
use serde_json::json;
use tar::EntryType;
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

on_each_database!(a_zip_is_kept_as_a_tar_and_given_back_as_either);

#[tokio::test]
async fn the_same_content_of_the_same_user_is_one_file() {
    let deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let tar = Archive::terraform("hello");
    let first = owner.upload(tar.clone()).await.expect(201);
    let again = owner.upload(tar.clone()).await.expect(200);
    assert_eq!(first["hash"], again["hash"]);
    uuid::Uuid::parse_str(first["hash"].as_str().unwrap()).unwrap();
    let organization = owner.default_organization().await;
    let (ada, _) = owner.user("ada", &[&organization]).await;
    assert_ne!(ada.upload(tar).await.expect(201)["hash"], first["hash"]);

    // An archive of many pieces comes through whole.
    let large = Archive::default().file("data.bin", &vec![7; 9 * 1024 * 1024]).finish();
    let _ = owner.upload(large).await.expect(201);
}

const ZIP: &str = "application/zip";

fn zip_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Names and contents.
fn files_of_zip(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).unwrap();
    let count = archive.len();
    let read = |index| {
        let mut file = archive.by_index(index).unwrap();
        let mut content = Vec::new();
        file.read_to_end(&mut content).unwrap();
        (file.name().unwrap().into_owned(), content)
    };
    (0..count).map(read).collect()
}

fn files_of_tar(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = tar::Archive::new(bytes);
    let read = |mut entry: tar::Entry<'_, &[u8]>| {
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        (entry.path().unwrap().display().to_string(), content)
    };
    archive.entries().unwrap().map(|entry| read(entry.unwrap())).collect()
}

async fn a_zip_is_kept_as_a_tar_and_given_back_as_either(database: Databases) {
    let deployment = Deployment::on(database).start().await;
    let owner = deployment.rest().first_user().await;
    let large = vec![7; 3 * 1024 * 1024];
    let files: &[(&str, &[u8])] = &[("main.tf", b"locals {}\n"), ("modules/data.bin", &large)];
    let wanted: Vec<_> = files.iter().map(|(name, content)| ((*name).to_owned(), content.to_vec())).collect();
    let zip = zip_of(files);
    let file = text(&owner.upload_as(ZIP, zip.clone()).await.expect(201), "hash");
    assert_eq!(owner.upload_as("application/x-zip-compressed", zip).await.expect(200)["hash"], file.as_str());

    for query in ["", "?format=", "?format=tar"] {
        let tar = owner.get(&format!("/api/v2/files/{file}{query}")).await;
        let _ = tar.expect(200);
        assert_eq!(tar.headers["content-type"], "application/x-tar");
        assert_eq!(files_of_tar(&tar.bytes), wanted, "{query}");
        assert_eq!(owner.upload(tar.bytes).await.expect(200)["hash"], file.as_str(), "the same file, whichever way");
    }
    let zip = owner.get(&format!("/api/v2/files/{file}?format=zip")).await;
    let _ = zip.expect(200);
    assert_eq!(zip.headers["content-type"], ZIP);
    assert_eq!(files_of_zip(&zip.bytes), wanted);
    assert_eq!(owner.upload_as(ZIP, zip.bytes).await.expect(200)["hash"], file.as_str());

    // A tar comes back as it was, to the byte.
    let tar = Archive::terraform("hello");
    let uploaded = text(&owner.upload(tar.clone()).await.expect(201), "hash");
    assert!(owner.get(&format!("/api/v2/files/{uploaded}")).await.bytes == tar);

    owner.get(&format!("/api/v2/files/{file}?format=rar")).await.refused_for(400, "format");
    owner.get("/api/v2/files/x").await.refused_for(400, "file");
    owner.get("/api/v2/files/11111111-2222-4333-8444-555555555555").await.refused(404);
    deployment.rest().get(&format!("/api/v2/files/{file}")).await.refused(401);
    let (ada, _) = owner.user("ada", &[&owner.default_organization().await]).await;
    ada.get(&format!("/api/v2/files/{file}")).await.refused(404);
}

/// The list in full stands beside the reader; here is what a client sees of it.
#[tokio::test]
async fn bad_zips_are_refused_whole() {
    let deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let good = zip_of(&[("main.tf", b"locals {}\n")]);
    let changed = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let before = deployment.database().rows().await;
    for (what, zip, said) in [
        ("a path with ..", zip_of(&[("a/../../b", b"x")]), "`..`"),
        ("an absolute path", zip_of(&[("/etc/passwd", b"x")]), "absolute"),
        ("names that differ in case", zip_of(&[("a", b"x"), ("A", b"x")]), "twice"),
        ("a name over 255 bytes", zip_of(&[(&"a".repeat(256), b"x")]), "255 bytes"),
        ("a device of some systems", zip_of(&[("nul", b"x")]), "device"),
        ("another name at the content", changed(30, b'x'), "another name"),
        ("damaged content", changed(40, 0xff), "damaged"),
        ("an encrypted entry", changed(6, 1), "isn't what the directory says"),
        ("cut short", good[..good.len() - 1].to_vec(), "end record"),
        ("something behind it", [&good[..], b"x"].concat(), "isn't its end"),
        ("a tar", Archive::terraform("hello"), "end record"),
        ("nothing", Vec::new(), "end record"),
    ] {
        let told = owner.upload_as(ZIP, zip).await.refused_for(400, "archive");
        assert!(told.contains(said), "{what}: {told}");
    }
    let zeros = zip_of(&[("zeros", &vec![0; 101 << 20])]);
    assert!(zeros.len() < 1 << 20);
    let told = owner.upload_as(ZIP, zeros).await.refused(413);
    assert!(told.contains("100 MiB"), "{told}");
    let told = owner.upload(good).await.refused_for(400, "archive");
    assert!(told.contains("application/zip"), "{told}");
    assert_eq!(deployment.database().rows().await, before, "nothing of them is left");
}

/// A daemon takes no notice of how its archive was sent.
#[tokio::test]
async fn a_template_can_be_made_of_a_zip() {
    let deployment = Deployment::on(Databases::Sqlite).unrecorded().start().await;
    let owner = deployment.rest().first_user().await;
    let key = owner.key("default", "key", json!({})).await;
    let _daemon = orgplane_tests::Daemon::start(&deployment, "one", &key, "echo");
    let zip = zip_of(&[("echo.json", br##"{"import": {"readme": "# From a zip"}}"##)]);
    let file = text(&owner.upload_as(ZIP, zip).await.expect(201), "hash");
    let body = json!({"storage_method": "file", "file_id": file, "provisioner": "echo"});
    let version = owner.post("/api/v2/organizations/default/templateversions", body).await.expect(201);
    let version = owner.imported(&text(&version, "id"), orgplane_tests::LONG).await;
    assert_eq!(
        (&version["job"]["status"], &version["readme"]),
        (&json!("succeeded"), &json!("# From a zip")),
        "{version}"
    );
}

fn bad_archives() -> Vec<(&'static str, Vec<u8>)> {
    let entry =
        |kind, path: &str, link: &str| Archive::default().file("main.tf", b"").entry(kind, path, link, b"").finish();
    let long = |path: &str| {
        let name = format!("{path}\0");
        let archive = Archive::default().entry(EntryType::GNULongName, "././@LongLink", "", name.as_bytes());
        archive.entry(EntryType::Regular, "innocent", "", b"").finish()
    };
    let pax = |record: &str| {
        let length = (1..).find(|n: &usize| format!("{n} {record}\n").len() == *n).unwrap();
        let header = format!("{length} {record}\n");
        let archive = Archive::default().entry(EntryType::XHeader, "pax", "", header.as_bytes());
        archive.entry(EntryType::Regular, "innocent", "", b"").finish()
    };
    let good = Archive::terraform("hello");
    vec![
        ("a path with ..", entry(EntryType::Regular, "../outside", "")),
        ("a path with .. inside", entry(EntryType::Regular, "a/../../outside", "")),
        ("a folder with ..", entry(EntryType::Directory, "..", "")),
        ("an absolute path", entry(EntryType::Regular, "/etc/passwd", "")),
        ("a symbolic link", entry(EntryType::Symlink, "link", "/etc/passwd")),
        ("a relative symbolic link", entry(EntryType::Symlink, "link", "main.tf")),
        ("a hard link", entry(EntryType::Link, "link", "main.tf")),
        ("a character device", entry(EntryType::Char, "null", "")),
        ("a block device", entry(EntryType::Block, "disk", "")),
        ("a pipe", entry(EntryType::Fifo, "pipe", "")),
        ("a long name with ..", long(&format!("{}/../../../outside", "a".repeat(150)))),
        ("a pax path with ..", pax("path=../outside")),
        ("an absolute pax path", pax("path=/etc/passwd")),
        ("no tar", b"this is no tar archive, but long enough to be looked at".repeat(20)),
        ("nothing", Vec::new()),
        ("half a header", good[..300].to_vec()),
        ("an entry cut short", Archive::default().file("a", &[1; 4000]).finish()[..2000].to_vec()),
    ]
}

#[tokio::test]
async fn bad_archives_are_refused_whole() {
    let deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let before = deployment.database().rows().await;
    for (what, tar) in bad_archives() {
        let answer = owner.upload(tar).await;
        assert_eq!(answer.status, 400, "{what}: {}", answer.text());
        answer.refused(400);
    }
    assert_eq!(deployment.database().rows().await, before, "nothing of them is left");
}

#[tokio::test]
async fn too_much_is_refused() {
    let deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let before = deployment.database().rows().await;
    let megabyte = 1024 * 1024;
    let large = Archive::default().file("large.bin", &vec![0; 101 * megabyte]).finish();
    too_large(&owner, large.clone().into(), &[400]).await;
    // The same without a length told beforehand: its entry says early what it would unpack to.
    let chunks: Vec<std::io::Result<bytes::Bytes>> =
        large.chunks(megabyte).map(|chunk| Ok(bytes::Bytes::copy_from_slice(chunk))).collect();
    let body = reqwest::Body::wrap_stream(tokio_stream::iter(chunks));
    too_large(&owner, body, &[400, 413]).await;
    // A sparse entry can say that it is larger than what it brings.
    let sparse = sparse_archive(200 * megabyte as u64);
    // Over a connection of its own: those above may be closed by now.
    let answer = deployment.rest().with(owner.token()).upload(sparse).await;
    assert!([400, 413].contains(&answer.status), "{answer:?}");
    assert_eq!(deployment.database().rows().await, before, "nothing of them is left");
}

async fn too_large(owner: &Rest, body: reqwest::Body, statuses: &[u16]) {
    let request = owner.request(Method::POST, "/api/v2/files").header("Content-Type", "application/x-tar").body(body);
    // The server may answer and close before it has read everything: then the client sees a broken pipe.
    match request.send().await {
        Ok(response) => assert!(statuses.contains(&response.status().as_u16()), "{response:?}"),
        Err(error) => assert!(error.is_request() || error.is_body(), "{error:?}"),
    }
}

/// A GNU sparse entry of no data and `size` bytes when unpacked.
fn sparse_archive(size: u64) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(EntryType::GNUSparse);
    header.set_mode(0o644);
    header.set_size(0);
    let gnu = header.as_gnu_mut().unwrap();
    gnu.name[..4].copy_from_slice(b"hole");
    gnu.set_real_size(size);
    header.set_cksum();
    let mut tar = header.as_bytes().to_vec();
    tar.extend([0; 1024]);
    tar
}

#[tokio::test]
async fn a_user_has_so_many_uploads_at_a_time() {
    let deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let organization = owner.default_organization().await;
    let (ada, _) = owner.user("ada", &[&organization]).await;
    let endless = async || {
        let body = reqwest::Body::wrap_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
        let request = owner.request(Method::POST, "/api/v2/files").header("Content-Type", "application/x-tar");
        owner.send(request.body(body)).await
    };
    let mut uploads: FuturesUnordered<_> = (0..5).map(|_| endless()).collect();
    let refused = uploads.next().await.unwrap();
    assert!(refused.refused(429).contains("4 uploads and downloads of archives at a time"), "{}", refused.text());
    let _ = ada.upload(Archive::terraform("hello")).await.expect(201);
    // Whoever breaks off has no upload any more.
    drop(uploads);
    eventually("place for another", SHORT, async || {
        let answer = owner.upload(Archive::terraform("hello")).await;
        (answer.status != 429).then(|| answer.expect(201))
    })
    .await;
}

#[tokio::test]
async fn other_types_are_refused() {
    let deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    for kind in ["application/json", "application/gzip", "text/plain", "application/x-tarball", ""] {
        let request = owner.request(Method::POST, "/api/v2/files").header("Content-Type", kind);
        owner.send(request.body(Archive::terraform("hello"))).await.refused(400);
    }
    deployment.rest().upload(Archive::terraform("hello")).await.refused(401);
    assert_eq!(deployment.database().rows().await["file"], 0);
}

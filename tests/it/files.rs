//! `POST /api/v2/files`: good archives once, bad ones never.

use orgplane_tests::{Archive, Deployment, Rest};
use reqwest::Method;
use tar::EntryType;

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
    let answer = owner.upload(sparse).await;
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
async fn other_types_are_refused() {
    let deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    for kind in ["application/json", "text/plain", "application/x-tarball", ""] {
        let request = owner.request(Method::POST, "/api/v2/files").header("Content-Type", kind);
        owner.send(request.body(Archive::terraform("hello"))).await.refused(400);
    }
    deployment.rest().upload(Archive::terraform("hello")).await.refused(401);
    assert_eq!(deployment.database().rows().await["file"], 0);
}

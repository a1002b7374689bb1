//! Archives over gRPC, and such as only many bytes make bad. What single entries may not be stands beside the reader, and
//! in `files.rs` as clients of REST see it.

use orgplane_proto::template::v1::upload_file_request::Message;
use orgplane_proto::template::v1::{UploadFileHeader, UploadFileRequest};
use orgplane_tests::{Archive, Deployment};
use prost::Message as _;
use tonic::Code;

use super::{Watch, check};

const UPLOAD: &str = "/orgplane.template.v1.FileService/UploadFile";

fn header(content_type: &str) -> Option<Message> {
    Some(Message::Header(UploadFileHeader { content_type: content_type.to_owned() }))
}

fn data(bytes: &[u8]) -> Option<Message> {
    Some(Message::Data(bytes.to_vec()))
}

#[tokio::test]
async fn an_upload_is_a_header_and_then_data() {
    let mut deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let api = deployment.grpc(Some(owner.token())).await;
    let watch = Watch::begin(&mut deployment).await;
    let (tar, zip) = ("application/x-tar", "application/zip");
    let good = Archive::terraform("hello");
    for (what, messages, field) in [
        ("nothing", vec![], "header"),
        ("no header", vec![data(&good)], "header"),
        ("a message of nothing first", vec![None], "header"),
        ("a message of nothing later", vec![header(tar), None], "data"),
        ("two headers", vec![header(tar), header(tar), data(&good)], "header"),
        ("a header at the end", vec![header(tar), data(&good), header(tar)], "header"),
        ("a large piece", vec![header(tar), data(&vec![0; 256 * 1024 + 1])], "data"),
        ("no content", vec![header(tar)], "archive"),
        ("no content of a zip", vec![header(zip)], "archive"),
        ("another content", vec![header(zip), data(&good)], "archive"),
        ("no content type", vec![header(""), data(&good)], "content_type"),
        ("another content type", vec![header("text/plain"), data(&good)], "content_type"),
    ] {
        let encoded = messages.into_iter().map(|message| UploadFileRequest { message }.encode_to_vec()).collect();
        let status = api.call(UPLOAD, encoded).await.expect_err(what);
        assert_eq!(status.code(), Code::InvalidArgument, "{what}: {status:?}");
        let violations = tonic_types::StatusExt::get_details_bad_request(&status).expect("details").field_violations;
        assert_eq!(violations.iter().map(|v| v.field.as_str()).collect::<Vec<_>>(), [field], "{what}: {status:?}");
    }
    watch.end(&mut deployment).await;
}

#[tokio::test]
async fn many_bytes_and_many_entries_take_no_memory() {
    let mut deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let watch = Watch::begin(&mut deployment).await;

    let mut entries = Archive::default();
    for number in 0..20_000 {
        entries = entries.file(&number.to_string(), b"");
    }
    check(&owner.upload(entries.finish()).await, "20,000 empty files", &[413]);

    // Ten gigabytes of zeros: told by their header, and not told.
    let mut claim = tar::Header::new_gnu();
    claim.set_path("zeros").unwrap();
    claim.set_size(10 << 30);
    claim.set_cksum();
    check(&owner.upload(claim.as_bytes().to_vec()).await, "ten gigabytes in a tar", &[413]);
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let zeros = vec![0; 1 << 20];
    zip.start_file("zeros", zip::write::SimpleFileOptions::default()).unwrap();
    for _ in 0..512 {
        std::io::Write::write_all(&mut zip, &zeros).unwrap();
    }
    let mut zip = zip.finish().unwrap().into_inner();
    check(&owner.upload_as("application/zip", zip.clone()).await, "half a gigabyte in a zip", &[413]);
    // The same with sizes that aren't true, before the content and in the directory.
    for at in [22, zip.len() - 22 - 46 - 5 + 24] {
        zip[at..at + 4].copy_from_slice(&100_u32.to_le_bytes());
    }
    check(&owner.upload_as("application/zip", zip).await, "a zip that hides what it unpacks to", &[400]);

    // One within another is a file as any other, which nobody opens.
    let nested = Archive::default().file("inner.tar", &Archive::terraform("hello")).finish();
    let _ = owner.upload(nested).await.expect(201);
    watch.end_with_rows(&mut deployment);
}

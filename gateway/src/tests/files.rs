use std::io;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{Request, StatusCode};
use orgplane_proto::common::v1::Chunk;
use orgplane_proto::template::v1::upload_file_request::Message;
use orgplane_proto::template::v1::{DownloadFileRequest, UploadFileHeader, UploadFileRequest, UploadFileResponse};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::fake::Messages;
use super::{Answer, Api};
use crate::Options;

const MIB: usize = 1024 * 1024;

async fn upload(api: &Api, content_type: &str, body: Body) -> Answer {
    api.send(Request::post("/api/v2/files").header("content-type", content_type).body(body).unwrap()).await
}

/// The service either never heard of the call or saw it dropped, which in one process happens before the answer.
fn never_looked_complete(api: &Api) -> bool {
    api.fake.saw_nothing() || api.fake.seen().message::<&str>() == "dropped"
}

#[tokio::test]
async fn archives_are_passed_on_in_pieces() {
    let api = Api::new();
    for (created, status) in [(true, StatusCode::CREATED), (false, StatusCode::OK)] {
        let content: Vec<u8> = (0..MIB + 5).map(|i| u8::try_from(i % 251).unwrap()).collect();
        api.fake.reply(UploadFileResponse { id: "the-id".to_owned(), created });
        let answer = upload(&api, "application/x-tar; charset=binary", Body::from(content.clone())).await;
        assert_eq!((answer.status, answer.json()), (status, json!({"hash": "the-id"})));
        let mut messages = api.fake.seen().message::<Vec<UploadFileRequest>>().into_iter().map(|m| m.message.unwrap());
        let header = UploadFileHeader { content_type: "application/x-tar".to_owned() };
        assert_eq!(messages.next(), Some(Message::Header(header)));
        let mut whole = Vec::new();
        for message in messages {
            let Message::Data(data) = message else { panic!("a second header") };
            assert!(data.len() <= 256 * 1024);
            whole.extend(data);
        }
        assert!(whole == content);
    }
}

#[tokio::test]
async fn other_types_are_refused() {
    let api = Api::new();
    for content_type in ["", "application/json", "application/gzip", "application/x-tarball"] {
        let answer = upload(&api, content_type, Body::from("x")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{content_type}");
        assert!(answer.json()["detail"].as_str().unwrap().contains("application/x-tar"));
    }
    assert!(api.fake.saw_nothing());
}

#[tokio::test]
async fn zips_are_told_by_their_type() {
    let api = Api::new();
    for content_type in ["application/zip", "application/x-zip-compressed", "Application/ZIP"] {
        api.fake.reply(UploadFileResponse { id: "the-id".to_owned(), created: true });
        assert_eq!(upload(&api, content_type, Body::from("x")).await.status, StatusCode::CREATED);
        let Some(Message::Header(header)) = api.fake.seen().message::<Vec<UploadFileRequest>>()[0].message.clone()
        else {
            panic!("no header")
        };
        assert_eq!(header.content_type, content_type.to_ascii_lowercase());
    }
}

#[tokio::test]
async fn downloads_are_of_the_type_that_was_asked_for() {
    let api = Api::new();
    for (query, format, content_type) in [
        ("", "", "application/x-tar"),
        ("?format=", "", "application/x-tar"),
        ("?format=zip", "zip", "application/zip"),
    ] {
        let chunk = |data: &[u8]| Ok(Chunk { data: data.to_vec() });
        api.fake.reply::<Messages<Chunk>>(vec![chunk(b"one"), chunk(b"two")]);
        let answer = api.get(&format!("/api/v2/files/the-id{query}")).await;
        assert_eq!((answer.status, &*answer.bytes), (StatusCode::OK, &b"onetwo"[..]));
        assert_eq!(answer.headers["content-type"], content_type, "{query}");
        let DownloadFileRequest { file, format: asked } = api.fake.seen().message();
        assert_eq!((file.as_str(), asked.as_str()), ("the-id", format));
    }
}

#[tokio::test]
async fn too_large_files_are_refused() {
    let api = Api::new();
    let request = Request::post("/api/v2/files").header("content-type", "application/x-tar");
    let answer = api.send(request.header("content-length", 100 * MIB + 1).body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.json(), json!({"message": "The file is too large.", "detail": "The limit is 100 MiB."}));
    assert!(api.fake.saw_nothing());

    // Nothing announced: found out on the way.
    let piece = Bytes::from(vec![0; MIB]);
    let endless = stream::repeat_with(move || Ok::<_, io::Error>(piece.clone()));
    let answer = upload(&api, "application/x-tar", Body::from_stream(endless)).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(!answer.message().is_empty());
    assert!(never_looked_complete(&api));
}

#[tokio::test]
async fn a_body_that_breaks_off_never_looks_complete() {
    let api = Api::with(Options { timeout: Duration::from_millis(50), ..Options::default() });
    let cut = stream::iter([Ok(Bytes::from_static(b"half")), Err(io::Error::other("cut"))]);
    let answer = upload(&api, "application/x-tar", Body::from_stream(cut)).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(never_looked_complete(&api));

    let stalled = stream::iter([Ok::<_, io::Error>(Bytes::from_static(b"half"))]).chain(stream::pending());
    let answer = upload(&api, "application/x-tar", Body::from_stream(stalled)).await;
    assert_eq!(answer.status, StatusCode::REQUEST_TIMEOUT);
    assert!(never_looked_complete(&api));
}

/// A client that still sends when the answer comes gets the answer, not a reset.
#[tokio::test]
async fn early_answers_reach_clients_that_are_still_sending() {
    let api = Api::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(axum::serve(listener, api.router.clone()).into_future());
    for (path, content_type, size, refuse, wanted) in [
        ("/api/v2/files", "application/x-tar", 20 * MIB, true, "HTTP/1.1 400"),
        ("/api/v2/files", "application/gzip", 20 * MIB, false, "HTTP/1.1 400"),
        ("/api/v2/files", "application/x-tar", 101 * MIB, false, "HTTP/1.1 400"),
        ("/api/v2/organizations", "application/json", 20 * MIB, false, "HTTP/1.1 413"),
    ] {
        api.fake.refuse_uploads(refuse);
        let (mut read, mut write) = tokio::net::TcpStream::connect(address).await.unwrap().into_split();
        let sender = tokio::spawn(async move {
            let head = format!(
                "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {content_type}\r\n\
                 content-length: {size}\r\n\r\n"
            );
            write.write_all(head.as_bytes()).await?;
            let piece = vec![b' '; MIB];
            for _ in 0..size / MIB {
                write.write_all(&piece).await?;
            }
            Ok::<_, io::Error>(write)
        });
        let mut text = String::new();
        read.read_to_string(&mut text).await.unwrap();
        assert!(text.starts_with(wanted), "{text}");
        assert!(text.contains("\"message\""), "{text}");
        // It could send all of it, too.
        let _open = sender.await.unwrap().unwrap();
    }
    server.abort();
}

use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{Request, StatusCode};
use orgplane_proto::template::v1::upload_file_request::Message;
use orgplane_proto::template::v1::{UploadFileHeader, UploadFileRequest, UploadFileResponse};
use serde_json::json;
use std::io;
use std::time::Duration;

use super::{Answer, Api};
use crate::Options;

const MIB: usize = 1024 * 1024;

async fn upload(api: &Api, content_type: &str, body: Body) -> Answer {
    api.send(Request::post("/api/v2/files").header("content-type", content_type).body(body).unwrap()).await
}

/// Waits until the service has noticed that its call was dropped.
async fn was_dropped(api: &Api) -> bool {
    let noticed = async {
        while api.fake.saw_nothing() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), noticed).await.unwrap();
    api.fake.seen().message::<&str>() == "dropped"
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
    for content_type in ["", "application/json", "application/zip", "application/x-tarball"] {
        let answer = upload(&api, content_type, Body::from("x")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{content_type}");
        assert!(answer.json()["detail"].as_str().unwrap().contains("application/x-tar"));
    }
    assert!(api.fake.saw_nothing());
}

#[tokio::test]
async fn too_large_files_are_refused() {
    let api = Api::new();
    let request = Request::post("/api/v2/files").header("content-type", "application/x-tar");
    let answer = api.send(request.header("content-length", 100 * MIB + 1).body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(api.fake.saw_nothing());

    // Nothing announced: found out on the way.
    let piece = Bytes::from(vec![0; MIB]);
    let endless = stream::repeat_with(move || Ok::<_, io::Error>(piece.clone()));
    let answer = upload(&api, "application/x-tar", Body::from_stream(endless)).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(!answer.message().is_empty());
    assert!(was_dropped(&api).await);
}

#[tokio::test]
async fn a_body_that_breaks_off_never_looks_complete() {
    let api = Api::with(Options { timeout: Duration::from_millis(50), ..Options::default() });
    let cut = stream::iter([Ok(Bytes::from_static(b"half")), Err(io::Error::other("cut"))]);
    let answer = upload(&api, "application/x-tar", Body::from_stream(cut)).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(was_dropped(&api).await);

    let stalled = stream::iter([Ok::<_, io::Error>(Bytes::from_static(b"half"))]).chain(stream::pending());
    let answer = upload(&api, "application/x-tar", Body::from_stream(stalled)).await;
    assert_eq!(answer.status, StatusCode::REQUEST_TIMEOUT);
    assert!(was_dropped(&api).await);
}

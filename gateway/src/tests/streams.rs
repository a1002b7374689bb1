use std::result::Result;

use http::StatusCode;
use orgplane_proto::common::v1::Chunk;
use orgplane_proto::provisioner::v1::*;
use orgplane_proto::workspace::v1::DownloadWorkspaceBuildStateRequest;
use prost_types::Timestamp;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::Status;

use super::Api;

fn line(id: i64, output: &str) -> ProvisionerJobLog {
    ProvisionerJobLog {
        id,
        created_at: Some(Timestamp { seconds: 1_735_689_600, nanos: 0 }),
        log_source: LogSource::Provisioner as i32,
        log_level: LogLevel::Info as i32,
        stage: "Planning".to_owned(),
        output: output.to_owned(),
    }
}

fn batch(lines: &[(i64, &str)]) -> Result<StreamJobLogsResponse, Status> {
    Ok(StreamJobLogsResponse { logs: lines.iter().map(|(id, output)| line(*id, output)).collect() })
}

#[tokio::test]
async fn logs_as_json() {
    let api = Api::new();
    api.fake.reply(vec![batch(&[]), batch(&[(1, "a"), (2, "<b>")]), batch(&[(3, "c")])]);
    let answer = api.get("/api/v2/templateversions/v/logs?after=7&format=").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers["content-type"], "application/json; charset=utf-8");
    let entry = |id, output| {
        json!({"id": id, "created_at": "2025-01-01T00:00:00Z", "log_source": "provisioner", "log_level": "info",
            "stage": "Planning", "output": output})
    };
    assert_eq!(answer.json(), json!([entry(1, "a"), entry(2, "<b>"), entry(3, "c")]));
    let wanted = StreamJobLogsRequest { template_version: "v".to_owned(), after: 7, ..Default::default() };
    assert_eq!(api.fake.seen().message::<StreamJobLogsRequest>(), wanted);

    api.fake.reply(Vec::<Result<StreamJobLogsResponse, Status>>::new());
    let answer = api.get("/api/v2/workspacebuilds/b/logs?format=json").await;
    assert_eq!((answer.status, &answer.bytes[..]), (StatusCode::OK, &b"[]\n"[..]));
    let wanted = StreamJobLogsRequest { workspace_build: "b".to_owned(), ..Default::default() };
    assert_eq!(api.fake.seen().message::<StreamJobLogsRequest>(), wanted);
}

#[tokio::test]
async fn logs_as_text() {
    let api = Api::new();
    api.fake.reply(vec![batch(&[(1, "a"), (2, "")])]);
    let answer = api.get("/api/v2/workspacebuilds/b/logs?format=text").await;
    assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
    let head = "2025-01-01T00:00:00Z [info] [provisioner|Planning]";
    assert_eq!(std::str::from_utf8(&answer.bytes).unwrap(), format!("{head} a\n{head} \n"));
}

#[tokio::test]
async fn bad_log_queries() {
    let api = Api::new();
    for (query, field) in [("after=x", "after"), ("format=xml", "format"), ("follow&format=text", "format")] {
        let answer = api.get(&format!("/api/v2/workspacebuilds/b/logs?{query}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(answer.json()["validations"][0]["field"], field);
    }
    let answer = api.get("/api/v2/workspacebuilds/b/logs?follow").await;
    assert_eq!(
        (answer.status, &answer.headers["upgrade"]),
        (StatusCode::UPGRADE_REQUIRED, &"websocket".parse().unwrap())
    );
    assert!(!answer.message().is_empty());
    assert!(api.fake.saw_nothing());
}

#[tokio::test]
async fn state_as_raw_bytes() {
    let api = Api::new();
    api.fake.reply(vec![Ok::<_, Status>(Chunk { data: b"{\"a\":".to_vec() }), Ok(Chunk { data: vec![0, 255] })]);
    let answer = api.get("/api/v2/workspacebuilds/b/state").await;
    assert_eq!(answer.headers["content-type"], "application/octet-stream");
    assert_eq!(&answer.bytes[..], b"{\"a\":\x00\xff");
    let wanted = DownloadWorkspaceBuildStateRequest { workspace_build: "b".to_owned(), salvaged: false };
    assert_eq!(api.fake.seen().message::<DownloadWorkspaceBuildStateRequest>(), wanted);

    api.fake.reply(Vec::<Result<Chunk, Status>>::new());
    let answer = api.get("/api/v2/workspacebuilds/b/state").await;
    assert_eq!((answer.status, answer.bytes.len()), (StatusCode::OK, 0));
}

#[tokio::test]
async fn what_fails_before_the_first_message_is_a_normal_error() {
    let api = Api::new();
    api.fake.fail(Status::not_found("No such build."));
    let answer = api.get("/api/v2/workspacebuilds/b/logs").await;
    assert_eq!((answer.status, answer.message().as_str()), (StatusCode::NOT_FOUND, "No such build."));

    api.fake.reply(vec![Err::<Chunk, _>(Status::permission_denied("Not yours."))]);
    let answer = api.get("/api/v2/workspacebuilds/b/state").await;
    assert_eq!((answer.status, answer.message().as_str()), (StatusCode::FORBIDDEN, "Not yours."));
}

#[tokio::test]
async fn what_fails_later_breaks_the_connection() {
    let api = Api::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(axum::serve(listener, api.router.clone()).into_future());

    for fails in [false, true] {
        let mut messages = vec![batch(&[(1, "first")])];
        if fails {
            messages.push(Err(Status::internal("secret cause")));
        }
        api.fake.reply(messages);
        let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = "GET /api/v2/workspacebuilds/b/logs HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        // A reset counts as broken as well.
        let _ = socket.read_to_end(&mut bytes).await;
        let text = String::from_utf8(bytes).unwrap();
        assert!(fails || text.contains("first"), "{text}");
        assert_eq!(text.ends_with("\r\n0\r\n\r\n"), !fails, "{text}");
        assert!(!text.contains("secret cause"));
    }
    server.abort();
}

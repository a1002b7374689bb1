//! Request bodies without an end: those that stop coming, and those that don't.

use std::time::{Duration, Instant};

use orgplane_tests::wire::{self, END_HEADERS, Wire, frame, kind};
use orgplane_tests::{Deployment, LONG};
use tokio::time::timeout;

use super::super::GROWTH;
use super::Stage;

/// When at the latest a body that stops coming ends its request, on a busy machine.
const GIVEN_UP: Duration = Duration::from_secs(90);
const SIGN_IN: &str = "/orgplane.identity.v1.SessionService/Login";

#[tokio::test]
async fn a_chunked_body_that_does_not_end() {
    let mut stage = Stage::set(Deployment::start().await).await;
    let bystander = stage.bystander().await;
    let head = |method: &str, path: &str, kind: &str| {
        format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\
             Coder-Session-Token: {}\r\n\r\n",
            stage.owner.token()
        )
    };
    let json = "application/json";
    let login = head("POST", "/api/v2/users/login", json);
    let chunk = format!("4000\r\n{}\r\n", " ".repeat(0x4000));
    let mut running = tokio::task::JoinSet::new();
    for (what, first, rest, status) in [
        ("a body that stops", format!("{login}1\r\n{{\r\n"), String::new(), "408"),
        ("a chunk that stops", format!("{login}400\r\n{{"), String::new(), "408"),
        ("a body for a reader of none", format!("{}1\r\n", head("GET", "/healthz", json)), String::new(), "200"),
        (
            "an archive that stops",
            format!("{}1\r\nx\r\n", head("POST", "/api/v2/files", "application/x-tar")),
            String::new(),
            "408",
        ),
        ("a call that stops", head("POST", SIGN_IN, "application/grpc"), String::new(), "200"),
        ("chunks for ever", login.clone(), chunk, "413"),
        ("a size without an end", login.clone(), "0".repeat(1000), ""),
        ("an extension without an end", format!("{login}1;"), "x".repeat(1000), ""),
        ("trailers without an end", format!("{login}0\r\n"), format!("X: {}\r\n", "x".repeat(1000)), ""),
    ] {
        let mut wire = Wire::connect(&stage.url()).await;
        wire.say(first.as_bytes()).await.unwrap();
        running.spawn(async move {
            let begun = Instant::now();
            let (mut reader, mut writer) = wire.split();
            let writing = tokio::spawn(async move {
                // Then it stops: what never lets the server rest is a matter of its share of the processor, not of an end.
                writer.repeat(2000, |_| rest.clone().into_bytes()).await;
                std::future::pending::<()>().await;
            });
            let came = reader.closed(what, GIVEN_UP).await;
            writing.abort();
            let answer = String::from_utf8_lossy(&came).lines().next().unwrap_or_default().to_owned();
            eprintln!("{what}: {answer:?}, closed after {:?}", begun.elapsed());
            assert!(answer.is_empty() || answer.contains(status), "{what}: {answer}");
            assert!(!answer.contains(" 500 "), "{what}: {answer}");
        });
    }
    while let Some(row) = running.join_next().await {
        row.unwrap();
    }
    let grown = stage.grown("endless bodies");
    assert!(grown < GROWTH, "it grew by {grown} bytes");
    bystander.end("endless bodies").await;
    stage.end("endless bodies").await;
}

/// From a peer that is alive in all other ways, and that nobody knows.
#[tokio::test]
async fn a_call_that_does_not_end() {
    let stage = Stage::set(Deployment::start().await).await;
    let bystander = stage.bystander().await;
    let mut wire = Wire::http2(&stage.url(), &[]).await;
    let fields = [("content-type", "application/grpc"), ("te", "trailers")];
    wire.say(&frame(kind::HEADERS, END_HEADERS, 1, &wire::request("POST", SIGN_IN, &fields))).await.unwrap();
    wire.say(&frame(kind::DATA, 0, 1, &[0, 0, 0, 0, 9, 1])).await.unwrap();
    let begun = Instant::now();
    let ended = async {
        while let Some(frame) = wire.next_alive().await {
            if frame.stream == 1 && frame.flags & wire::END_STREAM != 0 {
                return;
            }
        }
        panic!("the connection ended");
    };
    timeout(LONG, ended).await.expect("the call is ended");
    eprintln!("ended after {:?}", begun.elapsed());
    bystander.end("an endless call").await;
    stage.end("an endless call").await;
}

//! Connections on which no request comes, or one that takes for ever: each is closed after a while.

use std::time::{Duration, Instant};

use orgplane_tests::certificates::flag;
use orgplane_tests::wire::{self, ACK, END_STREAM, Wire, frame, kind};
use orgplane_tests::{Authority, Databases, Deployment};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::Stage;

/// When at the latest a connection without a request is closed, on a busy machine.
const CLOSED: Duration = Duration::from_secs(30);
/// The same for one on which a request was answered, and the least: proxies may keep unused connections for a minute.
const CLOSED_LATER: Duration = Duration::from_secs(120);
const KEPT: Duration = Duration::from_secs(60);
/// Between two bytes of a slow sender.
const PACE: Duration = Duration::from_millis(500);

/// What is sent: at once, and then byte by byte.
struct Row {
    what: &'static str,
    first: Vec<u8>,
    slowly: Vec<u8>,
    patience: Duration,
}

fn row(what: &'static str, first: impl AsRef<[u8]>, slowly: impl AsRef<[u8]>) -> Row {
    Row { what, first: first.as_ref().to_vec(), slowly: slowly.as_ref().to_vec(), patience: CLOSED }
}

fn rows() -> Vec<Row> {
    let begin = [wire::PREFACE, &frame(kind::SETTINGS, 0, 0, &[])].concat();
    let whole = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let half = "GET /healthz HTTP/1.1\r\nHost: loc";
    let long = format!("GET /healthz HTTP/1.1\r\nX: {}", "x".repeat(1000));
    let head = [&begin[..], &frame(kind::HEADERS, END_STREAM, 1, &wire::request("GET", "/healthz", &[]))].concat();
    // Each with nothing in it.
    let more = frame(kind::CONTINUATION, 0, 1, &[]).repeat(1000);
    vec![
        row("nothing", "", ""),
        row("half a head", half, ""),
        Row { patience: CLOSED_LATER, ..row("half a head after a request", format!("{whole}{half}"), "") },
        Row { patience: CLOSED_LATER, ..row("nothing after a request", whole, "") },
        row("a head byte by byte", "", &long),
        Row { patience: CLOSED_LATER, ..row("a head byte by byte after a request", whole, &long) },
        row("the first letter of both protocols", "P", ""),
        row("half a preface", &wire::PREFACE[..20], ""),
        row("a preface byte by byte", "", wire::PREFACE),
        row("a preface", wire::PREFACE, ""),
        row("no request", &begin, ""),
        row("a head without an end", &head, ""),
        row("a head piece by piece", &head, &more),
        row("a frame byte by byte", [&begin[..], &[0, 16, 0, 1, 0, 0, 0, 0, 1]].concat(), [0; 1000]),
    ]
}

/// How long the server leaves the connection open.
async fn lasts<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(stream: S, row: Row) -> Duration {
    let begun = Instant::now();
    let (mut reader, writer) = tokio::io::split(stream);
    let writing = tokio::spawn(async move {
        let mut writer = Wire(writer);
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let _ = writer.say(&row.first).await;
        for byte in row.slowly {
            pace.tick().await;
            if writer.say(&[byte]).await.is_err() {
                break;
            }
        }
        // Still open on our side.
        std::future::pending::<()>().await;
    });
    let mut came = Vec::new();
    let read = timeout(row.patience, reader.read_to_end(&mut came)).await;
    writing.abort();
    let lasted = begun.elapsed();
    eprintln!("{}: {} bytes came, closed after {lasted:?}", row.what, came.len());
    assert!(read.is_ok(), "{}: still open after {:?}", row.what, row.patience);
    assert!(row.patience == CLOSED || lasted > KEPT, "{}: closed after {lasted:?}", row.what);
    lasted
}

#[tokio::test]
async fn slow_heads() {
    let stage = Stage::set(Deployment::start().await).await;
    let bystander = stage.bystander().await;
    let mut lasting = tokio::task::JoinSet::new();
    for row in rows() {
        let stream = Wire::connect(&stage.url()).await.0;
        lasting.spawn(lasts(stream, row));
    }
    // It answers what it is asked whether it lives, and asks nothing itself.
    let mut alive = Wire::http2(&stage.url(), &[]).await;
    lasting.spawn(async move {
        let begun = Instant::now();
        let answering = async { while alive.next_alive().await.is_some() {} };
        timeout(CLOSED, answering).await.expect("one that asks nothing is closed");
        begun.elapsed()
    });
    while let Some(lasted) = lasting.join_next().await {
        lasted.unwrap();
    }
    bystander.end("slow heads").await;
    stage.end("slow heads").await;
}

#[tokio::test]
async fn slow_heads_over_tls() {
    let authority = Authority::default();
    let (cert, key) = authority.issue("server", &["127.0.0.1"]);
    let server = Deployment::on(Databases::Sqlite);
    let server = server.flag("--tls-cert-file", flag(&cert)).flag("--tls-key-file", flag(&key)).start().await;
    let url = server.url().to_owned();
    let mut lasting = tokio::task::JoinSet::new();
    for row in [
        row("no hello", "", ""),
        row("half a hello", b"\x16\x03\x01\x02\x00\x01", ""),
        row("a slow hello", b"\x16\x03\x01\x02\x00\x01", [0; 500]),
    ] {
        let stream = Wire::connect(&url).await.0;
        lasting.spawn(lasts(stream, row));
    }
    for row in rows() {
        let stream = authority.connect(Wire::connect(&url).await.0).await;
        lasting.spawn(lasts(stream, row));
    }
    while let Some(lasted) = lasting.join_next().await {
        lasted.unwrap();
    }
}

/// A connection that was used and is alive stays, as a daemon's does.
#[tokio::test]
async fn a_used_connection_stays() {
    let stage = Stage::set(Deployment::start().await).await;
    let mut wire = Wire::http2(&stage.url(), &[]).await;
    let ask =
        |stream| frame(kind::HEADERS, wire::END_HEADERS | END_STREAM, stream, &wire::request("GET", "/healthz", &[]));
    wire.say(&ask(1)).await.unwrap();
    let mut asked = 0;
    let begun = Instant::now();
    while asked < 1 || begun.elapsed() < Duration::from_secs(17) {
        let frame = wire.next_alive().await.expect("it stays");
        asked += usize::from(frame.kind == kind::PING && frame.flags & ACK == 0);
    }
    wire.say(&ask(3)).await.unwrap();
    while wire.next_alive().await.expect("it stays").stream != 3 {}
    stage.end("a used connection").await;
}

//! Frames of HTTP/2 that are right one by one and wrong in such numbers, and what are none.

use std::time::Duration;

use orgplane_tests::wire::{self, ACK, END_HEADERS, END_STREAM, Frame, Wire, frame, kind};
use orgplane_tests::{Deployment, LONG, SHORT};
use tokio::io::AsyncRead;
use tokio::time::timeout;

use super::super::GROWTH;
use super::Stage;

const ENHANCE_YOUR_CALM: u32 = 11;
const REFUSED_STREAM: u32 = 7;
const MAX_CONCURRENT_STREAMS: u16 = 3;

/// Everything that comes until the connection is closed.
async fn all(mut reader: Wire<impl AsyncRead + Unpin>, mut see: impl FnMut(&Frame)) {
    while let Some(frame) = reader.next().await {
        see(&frame);
    }
}

#[tokio::test]
async fn a_flood_of_pings() {
    const PINGS: usize = 300_000;
    let mut stage = Stage::set(Deployment::start().await).await;
    let bystander = stage.bystander().await;
    let (reader, mut writer) = Wire::http2(&stage.url(), &[]).await.split();
    let counting = tokio::spawn(async move {
        let mut answers = 0;
        all(reader, |frame| answers += usize::from(frame.kind == kind::PING && frame.flags & ACK != 0)).await;
        answers
    });
    let flood = writer.repeat(PINGS / 100, |_| frame(kind::PING, 0, 0, &[7; 8]).repeat(100));
    let said = timeout(LONG, flood).await.expect("the server takes it or ends it") * 100;
    let grown = stage.grown("pings");
    drop(writer);
    let answers = timeout(SHORT, counting).await.expect("the connection ends").unwrap();
    eprintln!("{said} pings, {answers} answers");
    assert!(answers > 0, "not one was answered");
    assert!(grown < GROWTH, "it grew by {grown} bytes");
    bystander.end("pings").await;
    stage.end("pings").await;
}

#[tokio::test]
async fn a_flood_of_settings() {
    let mut stage = Stage::set(Deployment::start().await).await;
    let bystander = stage.bystander().await;
    let (reader, mut writer) = Wire::http2(&stage.url(), &[]).await.split();
    let reading = tokio::spawn(all(reader, |_| {}));
    let change = |n: usize| frame(kind::SETTINGS, 0, 0, &wire::settings(&[(4, 65_535 - (n % 2) as u32)])).repeat(100);
    timeout(LONG, writer.repeat(1000, change)).await.expect("the server takes it or ends it");
    let grown = stage.grown("settings");
    drop(writer);
    timeout(SHORT, reading).await.expect("the connection ends").unwrap();
    assert!(grown < GROWTH, "it grew by {grown} bytes");
    bystander.end("settings").await;
    stage.end("settings").await;
}

/// Asks and takes it back at once, so that no more than one request at a time is open.
#[tokio::test]
async fn a_flood_of_resets() {
    const REQUESTS: usize = 50_000;
    let mut stage = Stage::set(Deployment::start().await).await;
    let bystander = stage.bystander().await;
    let bearer = format!("Bearer {}", stage.owner.token());
    let head = wire::request("GET", super::WHO, &[("authorization", &bearer)]);
    // A connection that is ended for it comes again.
    let (mut asked, mut connections, mut calmed) = (0, 0, 0);
    while asked < REQUESTS && connections < 100 {
        let (reader, mut writer) = Wire::http2(&stage.url(), &[]).await.split();
        let reading = tokio::spawn(async move {
            let mut calm = false;
            all(reader, |frame| calm |= frame.kind == kind::GOAWAY && frame.error() == Some(ENHANCE_YOUR_CALM)).await;
            calm
        });
        let pair = |n: usize| {
            let stream = 2 * n as u32 + 1;
            let asked = frame(kind::HEADERS, END_HEADERS | END_STREAM, stream, &head);
            [asked, frame(kind::RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat()
        };
        let flood = writer.repeat(REQUESTS - asked, pair);
        asked += timeout(LONG, flood).await.expect("the server takes it or ends it");
        drop(writer);
        calmed += usize::from(timeout(SHORT, reading).await.expect("the connection ends").unwrap());
        connections += 1;
    }
    eprintln!("{asked} requests on {connections} connections, {calmed} of which the server ended");
    assert!(asked >= REQUESTS || calmed > 0, "neither taken nor ended");
    let grown = stage.grown("resets");
    assert!(grown < GROWTH, "it grew by {grown} bytes");
    bystander.end("resets").await;
    stage.end("resets").await;
}

#[tokio::test]
async fn ten_thousand_streams_on_one_connection() {
    const STREAMS: usize = 10_000;
    let mut stage = Stage::set(Deployment::start().await).await;
    let bystander = stage.bystander().await;
    let bearer = format!("Bearer {}", stage.owner.token());
    // None has an end, so that each would stay.
    let head = wire::request(
        "POST",
        super::METHOD,
        &[("authorization", &bearer), ("content-type", "application/grpc"), ("te", "trailers")],
    );
    let (mut reader, mut writer) = Wire::http2(&stage.url(), &[]).await.split();
    let first = reader.next().await.expect("settings");
    assert_eq!(first.kind, kind::SETTINGS);
    let limit = first.payload.chunks(6).find(|value| value[..2] == MAX_CONCURRENT_STREAMS.to_be_bytes());
    let limit = u32::from_be_bytes(limit.expect("a limit")[2..].try_into().unwrap());
    assert!((1..=1000).contains(&limit), "{limit} streams at a time");
    let (sender, mut refusals) = tokio::sync::mpsc::channel(STREAMS);
    let reading = tokio::spawn(all(reader, move |frame| {
        if let Some(error) = frame.error() {
            let _ = sender.try_send((frame.kind, error));
        }
    }));
    let open = |n: usize| frame(kind::HEADERS, END_HEADERS, 2 * n as u32 + 1, &head);
    let opened = timeout(LONG, writer.repeat(STREAMS, open)).await.expect("the server takes it or ends it");
    let refused = timeout(SHORT, refusals.recv()).await.expect("streams over the limit are refused");
    let grown = stage.grown("streams");
    bystander.end("streams").await;
    drop(writer);
    timeout(SHORT, reading).await.expect("the connection ends").unwrap();
    let mut count = 1;
    let mut last = refused.expect("a refusal");
    assert_eq!(last, (kind::RST_STREAM, REFUSED_STREAM));
    while let Some(refusal) = refusals.recv().await {
        last = refusal;
        count += 1;
    }
    eprintln!("{opened} streams opened, {limit} allowed, {count} refusals, the last one {last:?}");
    assert!(last.0 == kind::GOAWAY || count >= opened - limit as usize, "some were neither refused nor ended");
    assert!(grown < GROWTH, "it grew by {grown} bytes");
    stage.end("streams").await;
}

#[tokio::test]
async fn heads_without_measure() {
    let mut stage = Stage::set(Deployment::start().await).await;
    let bystander = stage.bystander().await;
    let value = "x".repeat(16_000);
    let begin = wire::request("GET", super::WHO, &[("x-a", &value)]);
    let more = wire::head(&[("x-a", &value)]);
    // Remembered once, then named by one byte a time: 60 bytes of the table each.
    let remembered = [&b"\x40\x01a\x7f\x81\x1e"[..], &[b'x'; 3968], &[0xbe; 10_000]].concat();
    let small = wire::head(&[("x", "")]).repeat(2000);
    for (what, first, rest, times) in [
        ("a megabyte", begin.clone(), more.clone(), 64),
        ("no end", begin, more, 100_000),
        ("no end and nothing in it", wire::request("GET", super::WHO, &[]), Vec::new(), 1_000_000),
        ("a million fields", wire::request("GET", super::WHO, &[]), small, 500),
        ("the same again and again", [wire::request("GET", super::WHO, &[]), remembered].concat(), Vec::new(), 1),
    ] {
        let (mut reader, mut writer) = Wire::http2(&stage.url(), &[]).await.split();
        let reading = tokio::spawn(async move {
            loop {
                match reader.next().await {
                    None => return "closed".to_owned(),
                    Some(end) if end.error().is_some() => return format!("{} {:?}", end.kind, end.error()),
                    // 431, which no index has.
                    Some(head) if head.kind == kind::HEADERS && head.payload.windows(3).any(|w| w == b"431") => {
                        return "431".to_owned();
                    }
                    Some(head) if head.kind == kind::HEADERS => return format!("a head {:?}", head.payload),
                    Some(_) => {}
                }
            }
        });
        let _ = writer.say(&frame(kind::HEADERS, END_STREAM, 1, &first)).await;
        let flood = writer.repeat(times, |n| {
            let last = if n + 1 == times { END_HEADERS } else { 0 };
            frame(kind::CONTINUATION, last, 1, &rest)
        });
        let said = timeout(LONG, flood).await.expect("the server takes it or ends it");
        let answer = timeout(SHORT, reading).await.expect("an answer or an end").unwrap();
        eprintln!("{what}: {said} pieces, {answer}");
        assert!(!answer.starts_with("a head"), "{what}: {answer}");
        let grown = stage.grown(what);
        assert!(grown < GROWTH, "{what}: it grew by {grown} bytes");
    }
    // The same over HTTP/1.1.
    let mut wire = Wire::connect(&stage.url()).await;
    let begin = format!("GET {} HTTP/1.1\r\nHost: localhost\r\n", super::WHO);
    wire.say(begin.as_bytes()).await.unwrap();
    wire.repeat(100, |n| format!("X-{n}: {}\r\n", "x".repeat(10_000)).into_bytes()).await;
    let answer = String::from_utf8_lossy(&wire.closed("a large head", SHORT).await).into_owned();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    bystander.end("heads").await;
    stage.end("heads").await;
}

#[tokio::test]
async fn what_is_no_http() {
    let stage = Stage::set(Deployment::start().await).await;
    let bystander = stage.bystander().await;
    let begin = [wire::PREFACE, &frame(kind::SETTINGS, 0, 0, &[])].concat();
    let after = |bytes: &[u8]| [&begin, bytes].concat();
    let update = |stream, by: u32| frame(kind::WINDOW_UPDATE, 0, stream, &by.to_be_bytes());
    let rows: Vec<(&str, Vec<u8>)> = vec![
        ("garbage", [0xff; 4096].to_vec()),
        ("zeros", [0; 4096].to_vec()),
        ("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
        ("a preface, then garbage", [wire::PREFACE, &[0xff; 4096]].concat()),
        ("a preface, then zeros", [wire::PREFACE, &[0; 4096]].concat()),
        ("a preface, then HTTP/1.1", [wire::PREFACE, b"GET / HTTP/1.1\r\n\r\n"].concat()),
        ("settings, then garbage", after(&[0xff; 4096])),
        ("a frame of 16 MiB", after(&[0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1])),
        ("a ping of 7 bytes", after(&frame(kind::PING, 0, 0, &[0; 7]))),
        ("a window of zero", after(&update(0, 0))),
        ("a window beyond all numbers", after(&[update(0, 0x7fff_ffff), update(0, 0x7fff_ffff)].concat())),
        ("data of no stream", after(&frame(kind::DATA, 0, 1, b"x"))),
        ("a continuation of nothing", after(&frame(kind::CONTINUATION, 0, 1, b"x"))),
        ("a head that isn't HPACK", after(&frame(kind::HEADERS, END_HEADERS, 1, &[0xff; 64]))),
        ("a stream of the server's", after(&frame(kind::HEADERS, END_HEADERS, 2, &wire::request("GET", "/", &[])))),
    ];
    for (what, bytes) in rows {
        let mut wire = Wire::connect(&stage.url()).await;
        wire.say(&bytes).await.unwrap();
        // At once: nobody waits for what can't become anything.
        wire.closed(what, Duration::from_secs(10)).await;
    }
    bystander.end("garbage").await;
    stage.end("garbage").await;
}

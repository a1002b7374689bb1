//! Clients that ask for much and read nothing of it.

use std::cell::Cell;
use std::time::Duration;

use orgplane_proto::provisioner::v1::daemon_message::Message as Said;
use orgplane_proto::provisioner::v1::{Assign, DaemonMessage, Heartbeat, StreamJobLogsRequest};
use orgplane_tests::scripted::register;
use orgplane_tests::wire::{self, END_HEADERS, END_STREAM, Wire, frame, kind};
use orgplane_tests::world::text;
use orgplane_tests::{Archive, Deployment, SHORT, Session, eventually};
use serde_json::json;
use tokio::time::timeout;

use super::super::GROWTH;
use super::{ANSWERED, Stage};

const LOGS: &str = "/orgplane.provisioner.v1.ProvisionerJobService/StreamJobLogs";
const CONNECT: &str = "/orgplane.provisioner.v1.ProvisionerDaemonService/Connect";
const INITIAL_WINDOW_SIZE: u16 = 4;
/// When at the latest a connection is closed whose client takes nothing, on a busy machine.
const CLOSED: Duration = Duration::from_secs(120);
/// Streams of one connection.
const STREAMS: u32 = 200;
/// Bytes that a log may cost the server which is asked for and not taken: its first batches, decoded and encoded.
const UNTAKEN: u64 = 384 * 1024;
/// The same where windows are open, so that the connection holds some of it ready.
const READY: u64 = 1024 * 1024;

fn message(message: &impl prost::Message) -> Vec<u8> {
    let bytes = message.encode_to_vec();
    [&[0][..], &u32::try_from(bytes.len()).unwrap().to_be_bytes(), &bytes].concat()
}

/// A call with its one message.
fn call(path: &str, token: &str, stream: u32, message: &[u8], last: u8) -> Vec<u8> {
    let bearer = format!("Bearer {token}");
    let fields = [("authorization", bearer.as_str()), ("content-type", "application/grpc"), ("te", "trailers")];
    let head = frame(kind::HEADERS, END_HEADERS, stream, &wire::request("POST", path, &fields));
    [head, frame(kind::DATA, last, stream, message)].concat()
}

/// A job that runs and has printed almost all that is stored of one.
async fn loud(stage: &Stage) -> (Session, Assign, String) {
    let organization = stage.owner.default_organization().await;
    let key = stage.owner.key(&organization, "loud", json!({})).await;
    let mut session = Session::start(&stage.deployment, &key, "loud").await;
    let version = stage.owner.import(&organization, Archive::terraform("hello"), "terraform", json!({})).await;
    let assign = session.take_job().await;
    let line = "x".repeat(10_000);
    // In batches as a daemon's.
    let lines = vec![line.as_str(); 5];
    for number in 0..20 {
        session.log(&assign, 1 + 5 * number, &lines).await;
    }
    session.acknowledged(100).await;
    (session, assign, text(&version, "id"))
}

fn follow(version: &str) -> Vec<u8> {
    message(&StreamJobLogsRequest { template_version: version.to_owned(), follow: true, ..Default::default() })
}

#[tokio::test]
async fn logs_whose_window_is_never_opened() {
    let mut stage = Stage::set(Deployment::start().await).await;
    let (_session, _assign, version) = loud(&stage).await;
    let bystander = stage.bystander().await;
    let mut readers = Vec::new();
    for _ in 0..3 {
        let mut wire = Wire::http2(&stage.url(), &[(INITIAL_WINDOW_SIZE, 0)]).await;
        for stream in 0..STREAMS {
            let call = call(LOGS, stage.owner.token(), 2 * stream + 1, &follow(&version), END_STREAM);
            wire.say(&call).await.unwrap();
        }
        let mut heads = 0;
        while heads < STREAMS {
            let frame = timeout(SHORT, wire.next_alive()).await.expect("an answer").expect("an answer");
            assert_ne!(frame.kind, kind::DATA, "the window isn't open");
            heads += u32::from(frame.kind == kind::HEADERS);
        }
        readers.push(wire);
    }
    let grown = stage.grown("logs without a window");
    assert!(grown < 3 * u64::from(STREAMS) * UNTAKEN, "it grew by {grown} bytes");
    bystander.end("logs without a window").await;
    drop(readers);
    stage.no_fault();
}

/// The windows are open, and nothing is taken from the socket.
#[tokio::test]
async fn logs_that_are_never_taken() {
    let mut stage = Stage::set(Deployment::start().await).await;
    let (_session, _assign, version) = loud(&stage).await;
    let before = stage.deployment.process().sockets();
    let bystander = stage.bystander().await;
    let mut readers = Vec::new();
    for _ in 0..2 {
        let mut wire = Wire::with_buffer(&stage.url(), Some(4096)).await;
        wire.begin(&[(INITIAL_WINDOW_SIZE, 0x7fff_ffff)]).await;
        wire.say(&frame(kind::WINDOW_UPDATE, 0, 0, &0x7fff_0000_u32.to_be_bytes())).await.unwrap();
        for stream in 0..STREAMS {
            let call = call(LOGS, stage.owner.token(), 2 * stream + 1, &follow(&version), END_STREAM);
            wire.say(&call).await.unwrap();
        }
        readers.push(wire);
    }
    for number in 0..20 {
        let mut wire = Wire::with_buffer(&stage.url(), Some(4096)).await;
        let path = format!("/api/v2/templateversions/{version}/logs");
        let token = stage.owner.token();
        let ask = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nCoder-Session-Token: {token}\r\n\r\n");
        // More than one, which nobody answers before the first one is taken.
        wire.say(ask.repeat(1 + number % 3).as_bytes()).await.unwrap();
        readers.push(wire);
    }
    let most = Cell::new(0);
    let memory = stage.memory;
    let process = stage.deployment.process();
    eventually("an end of the connections that nobody reads", CLOSED, async || {
        most.set(process.memory().saturating_sub(memory).max(most.get()));
        (process.sockets() <= before + 2).then_some(())
    })
    .await;
    let most = most.get();
    eprintln!("logs that are never taken: the server had up to {} KiB more", most / 1024);
    bystander.end("logs that are never taken").await;
    drop(readers);
    assert!(most < 2 * u64::from(STREAMS) * READY, "it grew by {most} bytes");
    stage.no_fault();
}

/// A daemon that says much and hears nothing loses its session, not the server its memory.
#[tokio::test]
async fn a_daemon_that_never_reads() {
    let mut stage = Stage::set(Deployment::start().await).await;
    let organization = stage.owner.default_organization().await;
    let key = stage.owner.key(&organization, "deaf", json!({})).await;
    let bystander = stage.bystander().await;
    let mut wire = Wire::http2(&stage.url(), &[(INITIAL_WINDOW_SIZE, 0)]).await;
    let first = message(&DaemonMessage { message: Some(Said::Register(register("deaf"))) });
    wire.say(&call(CONNECT, &key, 1, &first, 0)).await.unwrap();
    let registered = async || stage.owner.daemon(&organization, "deaf", "idle").await;
    timeout(SHORT, registered()).await.expect("it is known");
    let heartbeat = Heartbeat { free_slots: 1, engines_healthy: true, ..Heartbeat::default() };
    let heartbeat = message(&DaemonMessage { message: Some(Said::Heartbeat(heartbeat)) });
    let beats = frame(kind::DATA, 0, 1, &heartbeat.repeat(100));
    let (mut reader, mut writer) = wire.split();
    let reading = tokio::spawn(async move { while reader.next().await.is_some() {} });
    // As many as the stream's window takes: then nobody reads them any more.
    let flood = tokio::spawn(async move {
        writer.repeat(65_000 / beats.len(), |_| beats.clone()).await;
        writer
    });
    let writer = timeout(ANSWERED, flood).await.expect("it is taken").unwrap();
    let gone = async || stage.owner.daemon(&organization, "deaf", "offline").await;
    timeout(SHORT, gone()).await.expect("it is known to be gone");
    let grown = stage.grown("a deaf daemon");
    assert!(grown < GROWTH, "it grew by {grown} bytes");
    drop(writer);
    timeout(SHORT, reading).await.expect("the connection ends").unwrap();
    bystander.end("a deaf daemon").await;
    let Stage { mut deployment, watch, .. } = stage;
    watch.end_with_rows(&mut deployment);
}

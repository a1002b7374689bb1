//! What isn't gRPC, or isn't protobuf, below what a client's library would send.

use http_body_util::BodyExt as _;
use orgplane_tests::Deployment;
use tonic::client::GrpcService as _;
use tonic::transport::Endpoint;
use tonic::{Code, Status};

use super::Watch;

const METHOD: &str = "/orgplane.organization.v1.OrganizationService/GetOrganization";
const UPLOAD: &str = "/orgplane.template.v1.FileService/UploadFile";

fn frame(flag: u8, length: usize, message: &[u8]) -> Vec<u8> {
    let mut frame = vec![flag];
    frame.extend(u32::try_from(length).unwrap().to_be_bytes());
    frame.extend(message);
    frame
}

/// A message whose frame is well-formed.
fn message(bytes: &[u8]) -> Vec<u8> {
    frame(0, bytes.len(), bytes)
}

async fn call(deployment: &Deployment, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Status {
    let mut channel = Endpoint::from_shared(deployment.url().to_owned()).unwrap().connect().await.unwrap();
    let mut request = http::Request::post(format!("{}{path}", deployment.url())).header("te", "trailers");
    for (name, value) in [("content-type", "application/grpc")].iter().chain(headers) {
        request = request.header(*name, *value);
    }
    let request = request.body(tonic::body::Body::new(reqwest::Body::from(body))).unwrap();
    std::future::poll_fn(|context| channel.poll_ready(context)).await.unwrap();
    let response = channel.call(request).await.unwrap();
    let early = Status::from_header_map(response.headers());
    let Ok(whole) = response.into_body().collect().await else { return early.expect("a status") };
    early.or_else(|| whole.trailers().and_then(Status::from_header_map)).expect("a status")
}

#[tokio::test]
async fn what_cannot_be_read_is_the_senders_fault() {
    let mut deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let bearer = format!("Bearer {}", owner.token());
    let watch = Watch::begin(&mut deployment).await;
    let unfit = Code::InvalidArgument;
    let overlong = [&[0x0a][..], &[0x80; 10], &[1]].concat();
    let too_large = 4 * 1024 * 1024 + 1;
    let rows: Vec<(&str, Vec<u8>, Code)> = vec![
        ("half a number", message(&[0x0a, 0xff]), unfit),
        ("a number of 11 bytes", message(&overlong), unfit),
        ("the field number 0", message(&[0x02, 0]), unfit),
        ("an unknown wire type", message(&[0x0f, 1]), unfit),
        ("another wire type", message(&[0x08, 1]), unfit),
        ("a length beyond the end", message(&[0x0a, 0x7f, b'x']), unfit),
        ("a text that isn't UTF-8", message(&[0x0a, 1, 0xff]), unfit),
        ("a group without an end", message(&[0x9b, 6]), unfit),
        ("an end without a group", message(&[0x9c, 6]), unfit),
        ("very deep groups", message(&[0x9b, 6].repeat(10_000)), unfit),
        ("no message", Vec::new(), unfit),
        ("half a frame", frame(0, 100, b"x"), unfit),
        ("half a frame's head", vec![0, 0], unfit),
        ("compressed in no agreed way", frame(1, 2, &[0x0a, 0]), unfit),
        ("an unknown flag", frame(7, 2, &[0x0a, 0]), unfit),
        ("a byte over the limit", frame(0, too_large, &vec![0; too_large]), Code::OutOfRange),
        ("four gigabytes announced", frame(0, u32::MAX as usize, b"x"), Code::OutOfRange),
    ];
    for (what, body, code) in rows {
        for path in [METHOD, UPLOAD] {
            let status = call(&deployment, path, &[("authorization", &bearer)], body.clone()).await;
            assert_eq!(status.code(), code, "{what}: {path}: {status:?}");
            assert!(!status.message().is_empty(), "{what}: {path}");
        }
    }
    // Fields of a newer peer are passed over.
    let newer = call(&deployment, METHOD, &[("authorization", &bearer)], message(b"\x0a\x07default\x98\x06\x01")).await;
    assert_eq!(newer.code(), Code::Ok, "{newer:?}");
    watch.end(&mut deployment).await;
}

#[tokio::test]
async fn odd_calls() {
    let mut deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let bearer = format!("Bearer {}", owner.token());
    let watch = Watch::begin(&mut deployment).await;
    let good = message(b"\x0a\x07default");
    for (what, path, header, code) in [
        ("an unknown method", "/orgplane.organization.v1.OrganizationService/Nothing", ("x", "y"), Code::Unimplemented),
        ("an unknown service", "/orgplane.none.v1.None/Get", ("x", "y"), Code::Unimplemented),
        ("an unknown encoding", METHOD, ("grpc-encoding", "nonsense"), Code::Unimplemented),
        ("binary metadata that isn't", METHOD, ("x-bin", "!!!"), Code::Ok),
    ] {
        let headers = [("authorization", bearer.as_str()), header];
        let status = call(&deployment, path, &headers, good.clone()).await;
        assert_eq!(status.code(), code, "{what}: {status:?}");
    }
    for timeout in ["", "x", "-1S", "1", "1Y", "99999999999999999999S"] {
        let headers = [("authorization", bearer.as_str()), ("grpc-timeout", timeout)];
        let status = call(&deployment, METHOD, &headers, good.clone()).await;
        let fine = [Code::Ok, Code::InvalidArgument, Code::DeadlineExceeded].contains(&status.code());
        assert!(fine, "{timeout:?}: {status:?}");
    }
    watch.end(&mut deployment).await;
}

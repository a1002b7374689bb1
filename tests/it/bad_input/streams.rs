//! A daemon's stream: messages that are well-formed and can't be. What the order of messages may be stands in `stream.rs`.

use orgplane_proto::provisioner::v1::daemon_message::Message as Said;
use orgplane_proto::provisioner::v1::server_message::Message as Heard;
use orgplane_proto::provisioner::v1::{
    Accepted, ApplyRequest, Assign, Checkpoint, DaemonMessage, HeldJob, Outcome, Register, StateReference,
};
use orgplane_tests::scripted::{logs, reference, register, result};
use orgplane_tests::world::text;
use orgplane_tests::{Archive, Deployment, SHORT, Session};
use prost::Message as _;
use serde_json::json;
use tonic::Code;

use super::Watch;

/// How the stream ends after a message; or that the sender was told that the job isn't its own.
async fn told(session: &mut Session, what: &str) -> (Code, String) {
    let listen = async {
        loop {
            match session.hear().await {
                Ok(Some(Heard::LeaseLost(_))) => return (Code::Aborted, "lease lost".to_owned()),
                Ok(Some(_)) => {}
                Ok(None) => panic!("{what}: it ended without a reason"),
                Err(status) => return (status.code(), status.message().to_owned()),
            }
        }
    };
    let nothing = |_| (Code::Ok, "nothing was told".to_owned());
    tokio::time::timeout(SHORT / 2, listen).await.unwrap_or_else(nothing)
}

type Row = (&'static str, Box<dyn FnOnce(&Assign) -> Said>);

fn rows() -> Vec<Row> {
    fn row(what: &'static str, message: impl FnOnce(&Assign) -> Said + 'static) -> Row {
        (what, Box::new(message))
    }
    vec![
        row("lines from 0", |a| Said::Logs(logs(a, 0, &["x"]))),
        row("lines from -1", |a| Said::Logs(logs(a, -1, &["x"]))),
        row("lines after a gap", |a| Said::Logs(logs(a, 2, &["x"]))),
        row("lines at the end of numbers", |a| Said::Logs(logs(a, i64::MAX, &["x", "y"]))),
        row("lines before the first number", |a| Said::Logs(logs(a, i64::MIN, &["x"]))),
        row("an unknown outcome", |a| {
            Said::Result(orgplane_proto::provisioner::v1::Result { outcome: 99, ..result(a, Outcome::Failed, 0) })
        }),
        row("no outcome", |a| {
            Said::Result(orgplane_proto::provisioner::v1::Result { outcome: 0, ..result(a, Outcome::Failed, 0) })
        }),
        row("a result of lines that aren't there", |a| Said::Result(result(a, Outcome::Failed, 1))),
        row("a result of -1 lines", |a| Said::Result(result(a, Outcome::Failed, -1))),
        row("a job id that is none", |a| {
            Said::ApplyRequest(ApplyRequest { job_id: "x".to_owned(), lease_id: a.lease_id.clone(), daily_cost: 0 })
        }),
        row("a lease id that is none", |a| {
            Said::ApplyRequest(ApplyRequest { job_id: a.job_id.clone(), lease_id: "\0".to_owned(), daily_cost: 0 })
        }),
        row("no job id", |_| Said::Accepted(Accepted::default())),
        row("a very long job id", |_| {
            Said::Accepted(Accepted { job_id: "x".repeat(900_000), lease_id: String::new() })
        }),
        row("a checkpoint of no state", |a| {
            Said::Checkpoint(Checkpoint { job_id: a.job_id.clone(), lease_id: a.lease_id.clone(), state: None })
        }),
        row("a checkpoint of bytes that weren't uploaded", |a| {
            let state = StateReference { lineage: "a".to_owned(), serial: 1, reference: Some(reference(b"x")) };
            Said::Checkpoint(Checkpoint { job_id: a.job_id.clone(), lease_id: a.lease_id.clone(), state: Some(state) })
        }),
    ]
}

#[tokio::test]
async fn each_impossible_message_ends_the_stream_with_its_reason() {
    let mut deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let organization = owner.default_organization().await;
    let key = owner.key(&organization, "key", json!({})).await;
    let watch = Watch::begin(&mut deployment).await;
    let count = rows().len();
    let mut faults = Vec::new();
    for (number, (what, message)) in rows().into_iter().enumerate() {
        let mut session = Session::start(&deployment, &key, &format!("daemon-{number}")).await;
        let version = owner.import(&organization, Archive::terraform("hello"), "terraform", json!({})).await;
        let assign = session.take_job().await;
        session.say(message(&assign)).await;
        let (code, said) = told(&mut session, what).await;
        if ![Code::InvalidArgument, Code::Aborted].contains(&code) || said.is_empty() || said.len() > 1000 {
            faults.push(format!("{what}: {code:?} {said:.200}"));
            continue;
        }
        // The job is as it was, and can still be canceled.
        let path = format!("/api/v2/templateversions/{}", text(&version, "id"));
        let version = owner.get(&path).await.expect(200);
        assert_eq!(version["job"]["status"], "running", "{what}: {version}");
        assert!(owner.logs(&path).await.is_empty(), "{what}: lines were stored");
        let _ = owner.patch(&format!("{path}/cancel"), json!({})).await.expect(200);
    }
    assert!(faults.is_empty(), "{faults:#?}");
    let rows = deployment.database().rows().await;
    assert_eq!(rows["template_version"], i64::try_from(count).unwrap());
    assert_eq!((rows["job_log_chunk"], rows["job_resource"]), (0, 0));
    watch.end_with_rows(&mut deployment);
}

#[tokio::test]
async fn a_job_of_another_organization_is_nobodys() {
    let mut deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let home = owner.default_organization().await;
    let away = owner.organization("away").await;
    let mut holder = Session::start(&deployment, &owner.key(&home, "key", json!({})).await, "holder").await;
    owner.import(&home, Archive::terraform("hello"), "terraform", json!({})).await;
    let assign = holder.take_job().await;
    let key = owner.key(&away, "key", json!({})).await;
    let watch = Watch::begin(&mut deployment).await;
    // Even with the right lease.
    for (number, message) in [
        Said::Logs(logs(&assign, 1, &["forged"])),
        Said::Result(result(&assign, Outcome::Succeeded, 0)),
        Said::ApplyRequest(ApplyRequest {
            job_id: assign.job_id.clone(),
            lease_id: assign.lease_id.clone(),
            daily_cost: 0,
        }),
    ]
    .into_iter()
    .enumerate()
    {
        let mut thief = Session::start(&deployment, &key, &format!("thief-{number}")).await;
        thief.say(message).await;
        let (code, said) = told(&mut thief, "a foreign job").await;
        assert!([Code::InvalidArgument, Code::Aborted].contains(&code), "{code:?} {said}");
    }
    let mut claims = register("claims");
    claims.held.push(HeldJob {
        job_id: assign.job_id.clone(),
        lease_id: assign.lease_id.clone(),
        ..HeldJob::default()
    });
    if let Ok((_session, registered)) = Session::register(&deployment, &key, claims).await {
        assert!(registered.resumed.is_empty(), "{registered:?}");
    }
    holder.finish(&assign, Outcome::Succeeded, 0).await;
    watch.end_with_rows(&mut deployment);
}

#[tokio::test]
async fn a_first_message_that_nobody_knows() {
    let mut deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let key = owner.key("default", "key", json!({})).await;
    let api = deployment.grpc(Some(&key)).await;
    let watch = Watch::begin(&mut deployment).await;
    let good =
        DaemonMessage { message: Some(Said::Register(Register { name: "x".repeat(2 << 20), ..register("one") })) };
    for (what, bytes) in [
        ("nothing", Vec::new()),
        ("a message of a newer peer", vec![0xaa, 0x3f, 1, b'x']),
        ("a broken message", vec![0x0a, 0x7f, 1]),
        ("a giant message", good.encode_to_vec()),
        ("a text", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
    ] {
        let status = api.call("/orgplane.provisioner.v1.ProvisionerDaemonService/Connect", vec![bytes]).await;
        let status = status.expect_err(what);
        let fits = [Code::InvalidArgument, Code::OutOfRange, Code::ResourceExhausted].contains(&status.code());
        assert!(fits && !status.message().is_empty(), "{what}: {status:?}");
    }
    watch.end(&mut deployment).await;
}

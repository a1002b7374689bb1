//! The daemons' stream, from a daemon that breaks its rules.

use std::time::Duration;

use orgplane_proto::provisioner::v1::daemon_message::Message as Said;
use orgplane_proto::provisioner::v1::server_message::Message as Heard;
use orgplane_proto::provisioner::v1::{
    DownloadRequest, Heartbeat, HeldJob, JobPhase, Outcome, Reference, RejectReason, Rejected, StateReference, Verdict,
};
use orgplane_tests::scripted::{Session, logs, reference, register, result};
use orgplane_tests::wait::{SHORT, eventually};
use orgplane_tests::world::{outputs, text};
use orgplane_tests::{Archive, Databases, Deployment, LONG, Rest};
use serde_json::{Value, json};
use tonic::{Code, Status};

on_each_database!(a_lapsed_lease_is_worth_nothing, lines_are_stored_once_and_in_order, a_result_is_stored_once);

struct Story {
    deployment: Deployment,
    owner: Rest,
    organization: String,
    key: String,
}

impl Story {
    async fn start() -> Self {
        Self::on(Deployment::on(Databases::Sqlite)).await
    }

    async fn on(builder: orgplane_tests::Builder) -> Self {
        let deployment = builder.start().await;
        let (owner, organization, key) = deployment.furnished().await;
        Self { deployment, owner, organization, key }
    }

    async fn session(&self, name: &str) -> Session {
        Session::start(&self.deployment, &self.key, name).await
    }

    async fn import(&self) -> Value {
        self.owner.import(&self.organization, Archive::terraform("hello"), "terraform", json!({})).await
    }

    async fn refused(&self, key: Option<&str>, first: Option<Said>) -> Status {
        match Session::open(&self.deployment, key, first).await {
            Ok(session) => session.end().await,
            Err(status) => status,
        }
    }
}

#[tokio::test]
async fn a_bad_key_is_told_which_way_it_is_bad() {
    let story = Story::start().await;
    let deleted = story.owner.key(&story.organization, "gone", json!({})).await;
    let path = format!("/api/v2/organizations/{}/provisionerkeys/gone", story.organization);
    let _ = story.owner.delete(&path).await.expect(204);
    let mut wrong = story.key.clone().into_bytes();
    wrong[10] = if wrong[10] == b'x' { b'y' } else { b'x' };
    let wrong = String::from_utf8(wrong).unwrap();
    for (what, key, word) in [
        ("none", None, ""),
        ("malformed", Some("not-a-key"), "malformed"),
        ("mistyped", Some(wrong.as_str()), "malformed"),
        ("deleted", Some(deleted.as_str()), "deleted"),
        ("a session token", Some(story.owner.token()), "malformed"),
    ] {
        let status = story.refused(key, Some(Said::Register(register("one")))).await;
        assert_eq!(status.code(), Code::Unauthenticated, "{what}: {status:?}");
        assert!(status.message().contains(word), "{what}: {status:?}");
        assert!(key.is_none_or(|key| !status.message().contains(key)), "{what}: {status:?} has the key");
    }
    assert_eq!(story.deployment.database().rows().await["provisioner_daemon"], 0);
}

#[tokio::test]
async fn the_first_message_is_register_and_no_other_is() {
    let story = Story::start().await;
    let heartbeat = || Said::Heartbeat(Heartbeat { free_slots: 1, engines_healthy: true, ..Heartbeat::default() });
    let status = story.refused(Some(&story.key), Some(heartbeat())).await;
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert!(status.message().contains("first message must be Register"), "{status:?}");
    assert_eq!(story.deployment.database().rows().await["provisioner_daemon"], 0);

    let session = story.session("one").await;
    session.say(Said::Register(register("two"))).await;
    let status = session.end().await;
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert!(status.message().contains("only once"), "{status:?}");

    let session = story.session("three").await;
    session.say_nothing().await;
    assert_eq!(session.end().await.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn what_a_daemon_may_register_as() {
    let story = Story::start().await;
    let good = register("one");
    let mut cases = Vec::new();
    for name in ["", "a\0b", "\u{202e}evil", &"x".repeat(300)] {
        cases.push(("name", orgplane_proto::provisioner::v1::Register { name: name.to_owned(), ..good.clone() }));
    }
    for version in ["", "1", "2.0", "1.99", "x.y", "-1.0"] {
        let message =
            orgplane_proto::provisioner::v1::Register { protocol_version: version.to_owned(), ..good.clone() };
        cases.push(("protocol", message));
    }
    cases.push(("engines", orgplane_proto::provisioner::v1::Register { engines: Vec::new(), ..good.clone() }));
    cases.push(("capacity", orgplane_proto::provisioner::v1::Register { capacity: 0, ..good.clone() }));
    cases.push(("instance", orgplane_proto::provisioner::v1::Register { instance_id: String::new(), ..good.clone() }));
    let foreign = orgplane_proto::provisioner::v1::Register { organization: "default".to_owned(), ..good.clone() };
    cases.push(("organization", foreign));
    for (word, message) in cases {
        let shown = format!("{message:?}");
        let status = match Session::register(&story.deployment, &story.key, message).await {
            Ok(_) => panic!("accepted: {shown}"),
            Err(status) => status,
        };
        // A key of another organization isn't a broken message: the daemon is told apart from one that speaks wrongly.
        let code = if word == "organization" { Code::FailedPrecondition } else { Code::InvalidArgument };
        assert_eq!(status.code(), code, "{shown}: {status:?}");
        assert!(status.message().contains(word), "{word} isn't in {status:?}");
    }
    assert_eq!(story.deployment.database().rows().await["provisioner_daemon"], 0);
    let named = orgplane_proto::provisioner::v1::Register { organization: "data-platform".to_owned(), ..good };
    Session::register(&story.deployment, &story.key, named).await.unwrap();
}

#[tokio::test]
async fn a_job_of_somebody_else_ends_the_stream() {
    let story = Story::start().await;
    let mut holder = story.session("holder").await;
    let version = story.import().await;
    let assign = holder.take_job().await;
    let mut thief = assign.clone();
    thief.lease_id = uuid::Uuid::new_v4().to_string();
    let mut nobodys = assign.clone();
    nobodys.job_id = uuid::Uuid::new_v4().to_string();
    let mut garbled = assign.clone();
    garbled.job_id = "not-an-id".to_owned();
    let before = story.deployment.database().rows().await;
    for (number, stolen) in [thief, nobodys, garbled].into_iter().enumerate() {
        for (what, message) in [
            ("logs", Said::Logs(logs(&stolen, 1, &["forged"]))),
            ("result", Said::Result(result(&stolen, Outcome::Failed, 0))),
        ] {
            let mut other = story.session(&format!("other-{number}-{what}")).await;
            other.say(message).await;
            // Either the stream ends with the reason, or the sender is told that the lease isn't its own.
            let told = tokio::time::timeout(SHORT, async {
                loop {
                    match other.hear().await {
                        Ok(Some(Heard::LeaseLost(lost))) => return format!("LeaseLost {}", lost.reason),
                        Ok(Some(_)) => {}
                        Ok(None) => panic!("{what}: ended without a reason"),
                        Err(status) => return format!("{:?} {}", status.code(), status.message()),
                    }
                }
            });
            let told = told.await.unwrap_or_else(|_| panic!("{what}: nothing was told"));
            assert!(told.starts_with("InvalidArgument") || told.starts_with("LeaseLost"), "{what}: {told}");
        }
    }
    let after = story.deployment.database().rows().await;
    for table in ["job_log_chunk", "provisioner_job", "job_log_head"] {
        assert_eq!(before.get(table), after.get(table), "{table}");
    }
    let path = format!("/api/v2/templateversions/{}", text(&version, "id"));
    assert_eq!(story.owner.get(&path).await.expect(200)["job"]["status"], "running");
    assert!(!outputs(&story.owner.logs(&path).await).contains("forged"));
    holder.finish(&assign, Outcome::Succeeded, 0).await;
}

async fn lines_are_stored_once_and_in_order(database: Databases) {
    let story = Story::on(Deployment::on(database)).await;
    let mut session = story.session("one").await;
    let version = story.import().await;
    let path = format!("/api/v2/templateversions/{}", text(&version, "id"));
    let assign = session.take_job().await;
    assert_eq!(assign.next_log_number, 1);
    session.log(&assign, 1, &["one", "two"]).await;
    session.acknowledged(2).await;
    // What overlaps is trimmed.
    session.log(&assign, 1, &["one", "two", "three"]).await;
    session.acknowledged(3).await;
    assert_eq!(outputs(&story.owner.logs(&path).await), "one\ntwo\nthree");
    // A result that names lines which aren't there is refused, and so is a gap.
    session.log(&assign, 5, &["five"]).await;
    let status = session.end().await;
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert!(status.message().contains("expected line 4, got 5"), "{status:?}");
    assert_eq!(outputs(&story.owner.logs(&path).await), "one\ntwo\nthree");
}

async fn a_result_is_stored_once(database: Databases) {
    let story = Story::on(Deployment::on(database)).await;
    let mut session = story.session("one").await;
    let version = story.import().await;
    let assign = session.take_job().await;
    session.log(&assign, 1, &["one"]).await;
    session.finish(&assign, Outcome::Succeeded, 1).await;
    // Told again it is only acknowledged again; another outcome changes nothing.
    session.finish(&assign, Outcome::Succeeded, 1).await;
    let path = format!("/api/v2/templateversions/{}", text(&version, "id"));
    assert_eq!(story.owner.get(&path).await.expect(200)["job"]["status"], "succeeded");
    session.log(&assign, 2, &["too late"]).await;
    session.say(Said::Heartbeat(Heartbeat { free_slots: 1, engines_healthy: true, ..Heartbeat::default() })).await;
    assert_eq!(outputs(&story.owner.logs(&path).await), "one");

    let version = story.import().await;
    let mut session = story.session("two").await;
    drop(version);
    let assign = tokio::time::timeout(SHORT, session.take_job()).await;
    if let Ok(assign) = assign {
        session.say(Said::Result(result(&assign, Outcome::Succeeded, 7))).await;
        let status = session.end().await;
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert!(status.message().contains("line 7"), "{status:?}");
    }
}

async fn a_lapsed_lease_is_worth_nothing(database: Databases) {
    let story = Story::on(Deployment::on(database).flag("--lease", "2s")).await;
    let version = story.import().await;
    let mut first = story.session("first").await;
    let assign = first.take_job().await;
    assert_eq!(assign.attempt, 1);
    drop(first);
    // Nothing was changed: the job goes to the next daemon, under a lease of its own.
    let mut second = story.session("second").await;
    let again = tokio::time::timeout(LONG, second.take_job()).await.expect("the lease lapses");
    assert_eq!(again.job_id, assign.job_id);
    assert_ne!(again.lease_id, assign.lease_id);
    assert_eq!(again.attempt, 2);

    // The first daemon comes back with its old lease: it is told, and nothing of it is taken.
    let mut back = register("first");
    back.held.push(HeldJob {
        job_id: assign.job_id.clone(),
        lease_id: assign.lease_id.clone(),
        phase: JobPhase::Finished.into(),
        last_log_number: 1,
    });
    let (first, registered) = loop {
        match Session::register(&story.deployment, &story.key, back.clone()).await {
            Ok(registered) => break registered,
            Err(status) => assert!(status.message().contains("first"), "{status:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(registered.lost.len(), 1, "{registered:?}");
    assert!(registered.resumed.is_empty(), "{registered:?}");
    first.say(Said::Result(result(&assign, Outcome::Failed, 0))).await;
    let upload = first.upload(&assign, reference(b"x"), b"x").await;
    assert!(upload.is_err() || assign.attempt == 1, "{upload:?}");

    second.finish(&again, Outcome::Succeeded, 0).await;
    let version = story.owner.imported(&text(&version, "id"), LONG).await;
    assert_eq!(version["job"]["status"], "succeeded", "{version}");
    assert_eq!(version["job"]["worker_name"], "second");
}

#[tokio::test]
async fn a_lease_that_is_renewed_goes_on() {
    let story = Story::on(Deployment::on(Databases::Sqlite).flag("--lease", "3s")).await;
    let mut session = story.session("one").await;
    let version = story.import().await;
    let assign = session.take_job().await;
    let start = std::time::Instant::now();
    while start.elapsed() < Duration::from_secs(5) {
        session.say(Said::Heartbeat(Heartbeat { engines_healthy: true, ..Heartbeat::default() })).await;
        session.find("HeartbeatAck", |message| matches!(message, Heard::HeartbeatAck(_)).then_some(())).await;
    }
    session.finish(&assign, Outcome::Succeeded, 0).await;
    let version = story.owner.imported(&text(&version, "id"), SHORT).await;
    assert_eq!(version["job"]["status"], "succeeded");
}

#[tokio::test]
async fn a_held_job_goes_on_in_a_new_session() {
    let story = Story::start().await;
    let message = register("one");
    let (mut session, first) = Session::register(&story.deployment, &story.key, message.clone()).await.unwrap();
    let version = story.import().await;
    let assign = session.take_job().await;
    session.log(&assign, 1, &["one"]).await;
    session.acknowledged(1).await;
    drop(session);
    let mut back = message;
    back.held.push(HeldJob {
        job_id: assign.job_id.clone(),
        lease_id: assign.lease_id.clone(),
        phase: JobPhase::Preparing.into(),
        last_log_number: 2,
    });
    // The same instance may take its own session over at once.
    let (mut session, registered) = Session::register(&story.deployment, &story.key, back).await.unwrap();
    assert_eq!(registered.daemon_id, first.daemon_id);
    assert_eq!(registered.resumed.len(), 1, "{registered:?}");
    assert_eq!(registered.resumed[0].next_log_number, 2);
    session.log(&assign, 2, &["two"]).await;
    session.finish(&assign, Outcome::Succeeded, 2).await;
    let path = format!("/api/v2/templateversions/{}", text(&version, "id"));
    assert_eq!(outputs(&story.owner.logs(&path).await), "one\ntwo");
}

#[tokio::test]
async fn a_message_over_a_megabyte_ends_the_stream() {
    let story = Story::start().await;
    let mut session = story.session("one").await;
    story.import().await;
    let assign = session.take_job().await;
    session.log(&assign, 1, &[&"x".repeat(2 * 1024 * 1024)]).await;
    let status = session.end().await;
    assert!(matches!(status.code(), Code::OutOfRange | Code::ResourceExhausted | Code::InvalidArgument), "{status:?}");
    assert_eq!(story.deployment.database().rows().await["job_log_chunk"], 0);
}

#[tokio::test]
async fn a_rejected_job_goes_elsewhere_and_costs_no_attempt() {
    let story = Story::start().await;
    let mut first = story.session("first").await;
    let version = story.import().await;
    let assign = first
        .find("Assign", |message| match message {
            Heard::Assign(assign) => Some(assign),
            _ => None,
        })
        .await;
    let mut second = story.session("second").await;
    first
        .say(Said::Rejected(Rejected {
            job_id: assign.job_id.clone(),
            lease_id: assign.lease_id.clone(),
            reason: RejectReason::Infrastructure.into(),
            detail: "the disk is full".to_owned(),
        }))
        .await;
    let again = second.take_job().await;
    assert_eq!(again.job_id, assign.job_id);
    second.finish(&again, Outcome::Succeeded, 0).await;
    assert_eq!(story.owner.imported(&text(&version, "id"), SHORT).await["job"]["worker_name"], "second");
}

#[tokio::test]
async fn bytes_belong_to_a_lease() {
    let story = Story::start().await;
    let mut session = story.session("one").await;
    story.import().await;
    let assign = session.take_job().await;
    let archive = assign.archive.clone().expect("an archive");
    let request = |lease: &str, reference: Reference| DownloadRequest {
        job_id: assign.job_id.clone(),
        lease_id: lease.to_owned(),
        reference: Some(reference),
    };
    let mut client = session.api().daemons();
    let mut chunks = client.download(request(&assign.lease_id, archive.clone())).await.unwrap().into_inner();
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks.message().await.unwrap() {
        assert!(chunk.data.len() <= 256 * 1024);
        bytes.extend(chunk.data);
    }
    assert_eq!(reference(&bytes), archive);

    for (what, request) in [
        ("another lease", request(&uuid::Uuid::new_v4().simple().to_string(), archive.clone())),
        ("other bytes", request(&assign.lease_id, reference(b"not the job's"))),
    ] {
        let status = match client.download(request).await {
            Err(status) => status,
            Ok(stream) => stream.into_inner().message().await.expect_err(what),
        };
        let refused = [Code::NotFound, Code::Aborted, Code::InvalidArgument, Code::PermissionDenied];
        assert!(refused.contains(&status.code()), "{what}: {status:?}");
    }
    // Another key's daemon can't have them, even with the right lease.
    let other = story.owner.key("default", "other", json!({})).await;
    let mut stranger = story.deployment.grpc(Some(&other)).await.daemons();
    let status = match stranger.download(request(&assign.lease_id, archive)).await {
        Err(status) => status,
        Ok(stream) => stream.into_inner().message().await.expect_err("another organization"),
    };
    assert_ne!(status.code(), Code::Internal, "{status:?}");

    // An upload has to be what its header says.
    let before = story.deployment.database().rows().await;
    for (what, claimed, sent) in [
        ("another digest", reference(b"something else"), &b"some bytes"[..]),
        ("too few bytes", Reference { size: 99, ..reference(b"some bytes") }, b"some bytes"),
        ("a bad digest", Reference { sha256: "../../etc".to_owned(), size: 1 }, b"x"),
    ] {
        let status = session.upload(&assign, claimed, sent).await.expect_err(what);
        assert_eq!(status.code(), Code::InvalidArgument, "{what}: {status:?}");
    }
    assert_eq!(story.deployment.database().rows().await["blob"], before["blob"]);
    session.finish(&assign, Outcome::Succeeded, 0).await;
}

#[tokio::test]
async fn nothing_is_applied_without_a_permit_and_never_twice() {
    let deployment = Deployment::on(Databases::Sqlite).flag("--lease", "2s").flag("--apply-lost-after", "4s");
    let story = Story::on(deployment).await;
    let mut session = story.session("one").await;
    let version = story.import().await;
    let assign = session.take_job().await;
    session.finish(&assign, Outcome::Succeeded, 0).await;
    let body = json!({"name": "echo", "template_version_id": version["id"]});
    let template = story.owner.post("/api/v2/organizations/data-platform/templates", body).await.expect(201);
    let workspace = story.owner.workspace("dev", &template).await;
    let build = text(&workspace["latest_build"], "id");
    let assign = session.take_job().await;
    assert_eq!(session.permit(&assign).await.verdict(), Verdict::Go);
    assert_eq!(session.permit(&assign).await.verdict(), Verdict::Go, "asked again after a lost answer");
    let state = b"{\"serial\":1}";
    let stored = session.upload(&assign, reference(state), state).await.unwrap();
    let reference = StateReference { lineage: "a1".to_owned(), serial: 1, reference: Some(stored) };
    session
        .say(Said::Checkpoint(orgplane_proto::provisioner::v1::Checkpoint {
            job_id: assign.job_id.clone(),
            lease_id: assign.lease_id.clone(),
            state: Some(reference),
        }))
        .await;
    session
        .find("Ack", |message| match message {
            Heard::Ack(ack) if ack.state_serial == 1 => Some(()),
            _ => None,
        })
        .await;
    // The daemon is lost while it applies: the job fails, isn't run again, and its state is kept.
    drop(session);
    let mut other = story.session("other").await;
    let failed = story.owner.built(&build, LONG).await;
    assert_eq!(failed["job"]["status"], "failed", "{failed}");
    assert!(!text(&failed["job"], "error").is_empty());
    let state = story.owner.get(&format!("/api/v2/workspacebuilds/{build}/state")).await;
    let _ = state.expect(200);
    assert_eq!(state.text(), "{\"serial\":1}");
    assert!(!other.hears(Duration::from_secs(2), |message| matches!(message, Heard::Assign(_))).await, "run again");
}

#[tokio::test]
async fn a_canceled_job_gets_no_permit() {
    let story = Story::start().await;
    let mut session = story.session("one").await;
    let version = story.import().await;
    let assign = session.take_job().await;
    let path = format!("/api/v2/templateversions/{}", text(&version, "id"));
    let asked = std::time::Instant::now();
    let _ = story.owner.patch(&format!("{path}/cancel"), json!({})).await.expect(200);
    session.find("Cancel", |message| matches!(message, Heard::Cancel(_)).then_some(())).await;
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    assert_eq!(session.permit(&assign).await.verdict(), Verdict::Canceled);
    session.finish(&assign, Outcome::Canceled, 0).await;
    assert_eq!(story.owner.get(&path).await.expect(200)["job"]["status"], "canceled");
}

#[tokio::test]
async fn a_deleted_key_ends_its_sessions() {
    let story = Story::start().await;
    let mut session = story.session("one").await;
    let path = format!("/api/v2/organizations/{}/provisionerkeys/key", story.organization);
    let _ = story.owner.delete(&path).await.expect(204);
    let ended = tokio::time::timeout(SHORT, async {
        loop {
            match session.hear().await {
                Ok(Some(_)) => {}
                Ok(None) => return None,
                Err(status) => return Some(status),
            }
        }
    });
    if let Some(status) = ended.await.expect("the stream ends") {
        assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    }
    let gone = eventually("the key to be refused", SHORT, async || {
        Session::register(&story.deployment, &story.key, register("one")).await.err()
    });
    assert_eq!(gone.await.code(), Code::Unauthenticated);
}

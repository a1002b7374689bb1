//! A daemon's stream, told what can't be of a build that goes on: each time with its reason, and the build is as it was.

use orgplane_proto::provisioner::v1::daemon_message::Message as Said;
use orgplane_proto::provisioner::v1::server_message::Message as Heard;
use orgplane_proto::provisioner::v1::{
    Ack, ApplyRequest, Assign, Checkpoint, HeldJob, JobPhase, Logs, Outcome, Register, RejectReason, Rejected,
    Result as JobResult, StateReference, UploadHeader, UploadRequest, Verdict, upload_request,
};
use orgplane_tests::scripted::{logs, reference, register, result};
use orgplane_tests::world::text;
use orgplane_tests::{Databases, Deployment, Rest, SHORT, Session};
use serde_json::{Value, json};
use tonic::{Code, Status};

on_each_database!(each_refusal_has_its_reason_and_changes_nothing, a_stale_lease_is_lost_and_the_stream_goes_on);

/// What is stored of the build.
type Stored = (Value, Vec<Value>, String, std::collections::BTreeMap<String, i64>);

/// A build that was permitted to change things, with a line and a state of serial 5.
struct Story {
    deployment: Deployment,
    owner: Rest,
    key: String,
    daemon: Register,
    assign: Assign,
    build: String,
}

impl Story {
    async fn start(database: Databases) -> (Self, Session) {
        let builder = Deployment::on(database).flag("--lease", "60s").flag("--contact-lost-after", "60s");
        let deployment = builder.unrecorded().start().await;
        let (owner, organization, key) = deployment.furnished().await;
        let daemon = register("one");
        let (mut session, _) = Session::register(&deployment, &key, daemon.clone()).await.unwrap();
        let template = session.template(&owner, &organization).await;
        let workspace = owner.workspace("dev", &template).await;
        let assign = session.take_job().await;
        assert_eq!(session.permit(&assign).await.verdict(), Verdict::Go);
        session.log(&assign, 1, &["one"]).await;
        session.acknowledged(1).await;
        let build = format!("/api/v2/workspacebuilds/{}", text(&workspace["latest_build"], "id"));
        let story = Self { deployment, owner, key, daemon, assign, build };
        for serial in [4, 5, 6] {
            let bytes = bytes(serial);
            session.upload(&story.assign, reference(&bytes), &bytes).await.unwrap();
        }
        session.say(story.checkpoint("a", 5)).await;
        stored(&mut session, 5).await;
        (story, session)
    }

    fn checkpoint(&self, lineage: &str, serial: i64) -> Said {
        let reference = Some(reference(&bytes(serial)));
        let state = Some(StateReference { lineage: lineage.to_owned(), serial, reference });
        let (job_id, lease_id) = (self.assign.job_id.clone(), self.assign.lease_id.clone());
        Said::Checkpoint(Checkpoint { job_id, lease_id, state })
    }

    fn held(&self) -> Register {
        let (job_id, lease_id) = (self.assign.job_id.clone(), self.assign.lease_id.clone());
        let held = HeldJob { job_id, lease_id, phase: JobPhase::Applying.into(), last_log_number: 1 };
        Register { held: vec![held], ..self.daemon.clone() }
    }

    /// The daemon comes back, and goes on with the build.
    async fn back(&self) -> Session {
        let (session, registered) = Session::register(&self.deployment, &self.key, self.held()).await.unwrap();
        let resumed: Vec<_> = registered.resumed.iter().map(|job| (&job.job_id, job.next_log_number)).collect();
        assert_eq!(resumed, [(&self.assign.job_id, 2)], "{registered:?}");
        session
    }

    async fn stored(&self) -> Stored {
        let state = self.owner.get(&format!("{}/state", self.build)).await.text();
        let mut rows = self.deployment.database().rows().await;
        rows.remove("provisioner_daemon");
        (self.owner.get(&self.build).await.expect(200), self.owner.logs(&self.build).await, state, rows)
    }

    fn logs(&self, change: impl FnOnce(&mut Logs)) -> Said {
        let mut logs = logs(&self.assign, 2, &["forged"]);
        change(&mut logs);
        Said::Logs(logs)
    }

    fn result(&self, change: impl FnOnce(&mut JobResult)) -> Said {
        let mut result = result(&self.assign, Outcome::Failed, 1);
        change(&mut result);
        Said::Result(result)
    }

    /// What can't be, and words of the reason.
    fn cases(&self) -> Vec<(&'static str, Said, &'static str)> {
        let (job_id, lease_id) = (self.assign.job_id.clone(), self.assign.lease_id.clone());
        let rejected = Rejected { job_id, lease_id, reason: 99, detail: String::new() };
        vec![
            ("a gap", self.logs(|logs| logs.first_number = 3), "expected line 2, got 3"),
            ("an older serial", self.checkpoint("a", 4), "state"),
            ("another state of the serial", self.checkpoint("a", 5).other(), "state"),
            ("another lineage", self.checkpoint("b", 6), "state"),
            ("a giant message", self.logs(|logs| logs.entries[0].output = "x".repeat(2 << 20)), "can't be read"),
            ("an unknown source", self.logs(|logs| logs.entries[0].source = 99), "source: has no value 99"),
            ("an unknown level", self.logs(|logs| logs.entries[0].level = -1), "level: has no value -1"),
            ("an unknown outcome", self.result(|result| result.outcome = 99), "outcome: has no value 99"),
            ("an unknown code", self.result(|result| result.error_code = 99), "error_code: has no value 99"),
            ("an unknown reason", Said::Rejected(rejected), "reason: has no value 99"),
        ]
    }
}

trait Other {
    fn other(self) -> Self;
}

impl Other for Said {
    /// A checkpoint of other bytes.
    fn other(mut self) -> Self {
        if let Self::Checkpoint(Checkpoint { state: Some(state), .. }) = &mut self {
            state.reference = Some(reference(&bytes(6)));
        }
        self
    }
}

fn bytes(serial: i64) -> Vec<u8> {
    format!("state {serial}").into_bytes()
}

async fn stored(session: &mut Session, serial: i64) {
    let stored =
        |message| matches!(message, Heard::Ack(Ack { state_serial, .. }) if state_serial == serial).then_some(());
    session.find("the state to be stored", stored).await;
}

/// How a stream ends that mustn't go on.
async fn end(what: &str, session: Session) -> Status {
    tokio::time::timeout(SHORT, session.end()).await.unwrap_or_else(|_| panic!("{what}: the stream goes on"))
}

#[track_caller]
fn refused(what: &str, status: &Status, words: &str) {
    assert_eq!(status.code(), Code::InvalidArgument, "{what}: {status:?}");
    assert!(status.message().contains(words), "{what}: {status:?}");
}

async fn each_refusal_has_its_reason_and_changes_nothing(database: Databases) {
    let (story, mut session) = Story::start(database).await;
    let before = story.stored().await;
    for (what, message, words) in story.cases() {
        session.say(message).await;
        refused(what, &end(what, session).await, words);
        session = story.back().await;
        assert_eq!(story.stored().await, before, "{what}");
    }

    let mut unknown = story.held();
    unknown.held[0].phase = 99;
    let status = Session::register(&story.deployment, &story.key, unknown).await.expect_err("an unknown phase");
    refused("an unknown phase", &status, "phase: has no value 99");
    let (job_id, lease_id) = (story.assign.job_id.clone(), story.assign.lease_id.clone());
    let header = UploadHeader { job_id, lease_id, kind: 99, reference: Some(reference(b"x")) };
    let pieces = [upload_request::Message::Header(header), upload_request::Message::Data(b"x".to_vec())];
    let pieces = pieces.map(|message| UploadRequest { message: Some(message) });
    let status = session.api().daemons().upload(tokio_stream::iter(pieces)).await.expect_err("an unknown kind");
    refused("an unknown kind", &status, "kind: has no value 99");
    assert_eq!(story.stored().await, before);

    // Another organization's daemon, though it knows the lease.
    let away = story.owner.organization("away").await;
    let key = story.owner.key(&away, "key", json!({})).await;
    let before = story.stored().await;
    let (job_id, lease_id) = (story.assign.job_id.clone(), story.assign.lease_id.clone());
    let permit = Said::ApplyRequest(ApplyRequest { job_id, lease_id, daily_cost: 1 });
    for (what, message) in [
        ("lines", story.logs(|_| ())),
        ("a state", story.checkpoint("a", 6)),
        ("a result", story.result(|_| ())),
        ("a question", permit),
    ] {
        let claims = Register { held: story.held().held, ..register(&what.replace(' ', "-")) };
        let (thief, registered) = Session::register(&story.deployment, &key, claims).await.unwrap();
        assert!(registered.resumed.is_empty() && registered.lost[0].next_log_number == 0, "{registered:?}");
        thief.say(message).await;
        refused(what, &end(what, thief).await, "isn't this daemon's");
        assert_eq!(story.stored().await, before, "{what} of another organization");
    }

    // The one whose it is goes on.
    session.log(&story.assign, 2, &["two"]).await;
    session.acknowledged(2).await;
    session.say(story.checkpoint("a", 6)).await;
    stored(&mut session, 6).await;
    session.finish(&story.assign, Outcome::Succeeded, 2).await;
    assert_eq!(story.owner.get(&story.build).await.expect(200)["job"]["status"], "succeeded");
}

/// A daemon that was too slow has done nothing wrong, and may have other jobs: it is told, and keeps its stream.
async fn a_stale_lease_is_lost_and_the_stream_goes_on(database: Databases) {
    let (mut story, mut session) = Story::start(database).await;
    let before = story.stored().await;
    let lease = std::mem::replace(&mut story.assign.lease_id, uuid::Uuid::new_v4().simple().to_string());
    let (job_id, lease_id) = (story.assign.job_id.clone(), story.assign.lease_id.clone());
    let rejected = Rejected { job_id, lease_id, reason: RejectReason::Full.into(), detail: String::new() };
    for message in [story.logs(|_| ()), story.checkpoint("a", 6), story.result(|_| ()), Said::Rejected(rejected)] {
        let what = format!("{message:?}");
        session.say(message).await;
        let lost = |message| match message {
            Heard::LeaseLost(lost) => Some(lost.lease_id),
            _ => None,
        };
        assert_eq!(session.find("LeaseLost", lost).await, story.assign.lease_id);
        assert_eq!(story.stored().await, before, "{what}");
    }
    assert_eq!(session.permit(&story.assign).await.verdict(), Verdict::Lost);
    let upload = session.upload(&story.assign, reference(b"x"), b"x").await.expect_err("a stale lease");
    assert_eq!(upload.code(), Code::Aborted, "{upload:?}");
    assert_eq!(story.stored().await, before);
    story.assign.lease_id = lease;
    session.log(&story.assign, 2, &["two"]).await;
    session.acknowledged(2).await;
    session.finish(&story.assign, Outcome::Succeeded, 2).await;
}

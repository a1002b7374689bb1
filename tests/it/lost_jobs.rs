//! Jobs whose daemons aren't heard of: what everybody sees, who may give them up, what is taken of them afterwards.

use std::time::{Duration, Instant};

use orgplane_proto::provisioner::v1::daemon_message::Message as Said;
use orgplane_proto::provisioner::v1::server_message::Message as Heard;
use orgplane_proto::provisioner::v1::{
    Ack, Assign, Checkpoint, Engine, HeldJob, JobPhase, Outcome, Register, StateReference, Verdict,
};
use orgplane_tests::scripted::{reference, register, result};
use orgplane_tests::wait::{SHORT, eventually};
use orgplane_tests::world::{outputs, text};
use orgplane_tests::{Archive, Builder, Databases, Deployment, LONG, Rest, Session};
use serde_json::{Value, json};
use tonic::Code;

on_each_database!(
    a_lost_job_is_released_and_salvaged,
    a_first_state_that_comes_too_late_has_successors,
    what_nobody_answers_ends
);

/// A workspace whose first build was permitted to change things.
struct Story {
    deployment: Deployment,
    owner: Rest,
    ada: Rest,
    key: String,
    daemon: Register,
    session: Option<Session>,
    assign: Assign,
    workspace: Value,
}

impl Story {
    /// With a first state.
    async fn start(builder: Builder) -> Self {
        let mut story = Self::permitted(builder).await;
        let session = story.session.as_mut().unwrap();
        checkpoint(session, &story.assign, "a", 1).await;
        story
    }

    async fn permitted(builder: Builder) -> Self {
        let deployment = builder.unrecorded().start().await;
        let owner = deployment.rest().first_user().await;
        let organization = owner.organization("data-platform").await;
        let (ada, _) = owner.user("ada", &[&organization]).await;
        let key = owner.key(&organization, "key", json!({})).await;
        let daemon = register("one");
        let (mut session, _) = Session::register(&deployment, &key, daemon.clone()).await.unwrap();
        let template = session.template(&owner, &organization).await;
        let workspace = ada.workspace("dev", &template).await;
        let assign = session.take_job().await;
        assert_eq!(session.permit(&assign).await.verdict(), Verdict::Go);
        session.log(&assign, 1, &["one"]).await;
        session.acknowledged(1).await;
        Self { deployment, owner, ada, key, daemon, session: Some(session), assign, workspace }
    }

    fn path(&self) -> String {
        format!("/api/v2/workspacebuilds/{}", text(&self.workspace["latest_build"], "id"))
    }

    fn release(&self) -> String {
        format!("/api/v2/organizations/data-platform/provisionerjobs/{}/release", self.assign.job_id)
    }

    async fn build(&self, client: &Rest) -> orgplane_tests::Answer {
        let path = format!("/api/v2/workspaces/{}/builds", text(&self.workspace, "id"));
        client.post(&path, json!({"transition": "start"})).await
    }

    async fn state(&self, query: &str) -> String {
        let answer = self.owner.get(&format!("{}/state{query}", self.path())).await;
        let _ = answer.expect(200);
        answer.text()
    }

    /// The daemon comes back with its job, and takes no other.
    async fn comes_back(&self) -> (Session, i64) {
        let mut back = self.daemon.clone();
        back.engines = vec![Engine { name: "echo".to_owned(), version: "1".to_owned() }];
        back.held.push(HeldJob {
            job_id: self.assign.job_id.clone(),
            lease_id: self.assign.lease_id.clone(),
            phase: JobPhase::Finished.into(),
            last_log_number: 2,
        });
        let (session, registered) = Session::register(&self.deployment, &self.key, back).await.unwrap();
        assert!(registered.resumed.is_empty() && registered.lost.len() == 1, "{registered:?}");
        (session, registered.lost[0].next_log_number)
    }
}

fn bytes(serial: i64) -> String {
    format!("state {serial}")
}

/// Hands in a state.
async fn hand_in(session: &Session, assign: &Assign, lineage: &str, serial: i64) {
    let content = bytes(serial);
    let stored = session.upload(assign, reference(content.as_bytes()), content.as_bytes()).await.expect("taken");
    let state = StateReference { lineage: lineage.to_owned(), serial, reference: Some(stored) };
    let (job_id, lease_id) = (assign.job_id.clone(), assign.lease_id.clone());
    session.say(Said::Checkpoint(Checkpoint { job_id, lease_id, state: Some(state) })).await;
}

/// The same until it is stored.
async fn checkpoint(session: &mut Session, assign: &Assign, lineage: &str, serial: i64) {
    hand_in(session, assign, lineage, serial).await;
    let stored =
        |message| matches!(message, Heard::Ack(Ack { state_serial, .. }) if state_serial == serial).then_some(());
    session.find("the state to be stored", stored).await;
}

async fn a_lost_job_is_released_and_salvaged(database: Databases) {
    let builder = Deployment::on(database).flag("--contact-lost-after", "1500ms").flag("--apply-lost-after", "10m");
    let mut story = Story::start(builder).await;
    let (path, release) = (story.path(), story.release());

    // In contact: it goes on, and nobody takes it from its daemon.
    let job = story.owner.get(&path).await.expect(200)["job"].clone();
    assert_eq!(job.get("contact_lost_since"), None, "{job}");
    assert!(story.owner.post(&release, json!({})).await.refused(409).contains("in contact"));
    assert!(story.build(&story.ada).await.refused(409).contains("already active"));

    drop(story.session.take());
    let held = eventually("the workspace to be held", SHORT, async || {
        let text = story.build(&story.ada).await.refused(409);
        text.contains("held until").then_some(text)
    });
    let held = held.await;
    assert!(held.contains("one") && held.contains(&story.assign.job_id), "{held}");
    let job = story.owner.get(&path).await.expect(200)["job"].clone();
    assert!(job["contact_lost_since"].is_string() && job["status"] == "running", "{job}");
    story.ada.post(&release, json!({})).await.refused(404);
    assert_eq!(story.owner.get(&path).await.expect(200)["job"]["status"], "running");
    let _ = story.owner.post(&release, json!({})).await.expect(200);
    let job = story.owner.get(&path).await.expect(200)["job"].clone();
    assert_eq!((&job["status"], job.get("contact_lost_since")), (&json!("failed"), None), "{job}");
    let error = text(&job, "error");
    assert!(error.starts_with("owner released the job"), "{error}");
    assert_eq!(outputs(&story.owner.logs(&path).await), format!("one\n{error}"));
    story.owner.post(&release, json!({})).await.refused(400);

    // A build that waits starts from what comes back before it does.
    let next = story.build(&story.ada).await.expect(201);
    let (mut back, line) = story.comes_back().await;
    assert_eq!(line, 2);
    back.log(&story.assign, 2, &["two"]).await;
    back.acknowledged(2).await;
    checkpoint(&mut back, &story.assign, "a", 2).await;
    back.log(&story.assign, 2, &["two", "three"]).await;
    back.acknowledged(3).await;
    assert_eq!(story.state("").await, bytes(2));
    let next_state = format!("/api/v2/workspacebuilds/{}/state", text(&next, "id"));
    assert_eq!(story.owner.get(&next_state).await.text(), bytes(2));
    let log = outputs(&story.owner.logs(&path).await);
    assert!(log.starts_with(&format!("one\n{error}\ntwo\n")) && log.ends_with("\nthree"), "{log}");
    // How it ended stays.
    back.say(Said::Result(result(&story.assign, Outcome::Succeeded, 3))).await;
    back.find("LeaseLost", |message| matches!(message, Heard::LeaseLost(_)).then_some(())).await;
    assert_eq!(story.owner.get(&path).await.expect(200)["job"]["status"], "failed");

    // Nor does it replace what a later build goes on from.
    let mut other = Session::start(&story.deployment, &story.key, "other").await;
    let assign = other.take_job().await;
    let (mut back, _) = story.comes_back().await;
    checkpoint(&mut back, &story.assign, "a", 3).await;
    assert_eq!((story.state("").await, story.state("?salvaged=true").await), (bytes(2), bytes(3)));
    assert_eq!(story.owner.get(&next_state).await.text(), bytes(2));
    assert!(outputs(&story.owner.logs(&path).await).contains("state?salvaged=true"));
    other.permit(&assign).await;
    other.finish(&assign, Outcome::Succeeded, 0).await;
    for (lineage, serial) in [("a", 2), ("b", 9)] {
        let (back, _) = story.comes_back().await;
        hand_in(&back, &story.assign, lineage, serial).await;
        let status = back.end().await;
        assert_eq!(status.code(), Code::InvalidArgument, "{lineage} {serial}: {status:?}");
        assert!(status.message().contains("state"), "{status:?}");
    }
    assert_eq!((story.state("").await, story.state("?salvaged=true").await), (bytes(2), bytes(3)));
    assert_eq!(story.owner.get(&next_state).await.text(), bytes(2));
}

async fn a_first_state_that_comes_too_late_has_successors(database: Databases) {
    let builder = Deployment::on(database).flag("--contact-lost-after", "1s").flag("--apply-lost-after", "10m");
    let mut story = Story::permitted(builder).await;
    drop(story.session.take());
    eventually("the release", SHORT, async || {
        (story.owner.post(&story.release(), json!({})).await.status == 200).then_some(())
    })
    .await;
    let _ = story.build(&story.ada).await.expect(201);
    let mut other = Session::start(&story.deployment, &story.key, "other").await;
    other.take_job().await;
    let (mut back, _) = story.comes_back().await;
    // Twice, as when the first answer is lost.
    for serial in [1, 1, 2] {
        checkpoint(&mut back, &story.assign, "a", serial).await;
        assert_eq!(story.state("?salvaged=true").await, bytes(serial));
    }
    hand_in(&back, &story.assign, "b", 3).await;
    assert_eq!(back.end().await.code(), Code::InvalidArgument);
    assert_eq!(story.state("?salvaged=true").await, bytes(2));
}

async fn what_nobody_answers_ends(database: Databases) {
    let builder = Deployment::on(database).flag("--lease", "1500ms").flag("--contact-lost-after", "1s");
    let deployment = builder.flag("--pending-timeout", "2s").unrecorded().start().await;
    let (owner, organization, key) = deployment.furnished().await;
    let mut session = Session::start(&deployment, &key, "one").await;
    let version = owner.import(&organization, Archive::terraform("hello"), "terraform", json!({})).await;
    let path = format!("/api/v2/templateversions/{}", text(&version, "id"));
    session.take_job().await;
    let _ = owner.patch(&format!("{path}/cancel"), json!({})).await.expect(200);
    drop(session);
    // It waited for nobody, for there is nobody: each with its own reason.
    let waiting = owner.import(&organization, Archive::terraform("again"), "terraform", json!({})).await;
    let canceled = owner.imported(&text(&version, "id"), LONG).await;
    assert_eq!(canceled["job"]["status"], "canceled", "{canceled}");
    let log = outputs(&owner.logs(&path).await);
    assert!(log.contains("\"one\" was lost"), "{log}");
    let waited = owner.imported(&text(&waiting, "id"), LONG).await;
    assert_eq!(waited["job"]["status"], "failed", "{waited}");
    let error = text(&waited["job"], "error");
    assert!(error.contains("within 2 s"), "{error}");
    let path = format!("/api/v2/templateversions/{}", text(&waiting, "id"));
    assert_eq!(outputs(&owner.logs(&path).await), error);
}

#[tokio::test]
async fn nothing_is_lost_while_the_database_is_away() {
    if !Databases::Postgres.is_present() {
        return;
    }
    let lease = Duration::from_secs(2);
    let builder = Deployment::on(Databases::Postgres).flag("--lease", "2s").linked().unrecorded();
    let deployment = builder.start().await;
    let (owner, organization, key) = deployment.furnished().await;
    let mut session = Session::start(&deployment, &key, "one").await;
    let version = owner.import(&organization, Archive::terraform("hello"), "terraform", json!({})).await;
    let path = format!("/api/v2/templateversions/{}", text(&version, "id"));
    let assign = session.take_job().await;
    session.log(&assign, 1, &["one"]).await;
    session.acknowledged(1).await;

    deployment.link().cut();
    let away = Instant::now();
    session.log(&assign, 2, &["two"]).await;
    // For longer than any lease.
    while away.elapsed() < 2 * lease {
        let answer = owner.get(&path).await;
        answer.refused(503);
        assert!(answer.headers.contains_key("retry-after"), "{:?}", answer.headers);
        assert_eq!(owner.get("/readyz").await.status, 503);
    }
    deployment.link().heal();
    let back = Instant::now();
    session.acknowledged(2).await;
    session.finish(&assign, Outcome::Succeeded, 2).await;
    assert_eq!(owner.get(&path).await.expect(200)["job"]["status"], "succeeded");
    assert!(back.elapsed() < Duration::from_secs(10), "{:?}", back.elapsed());
    assert_eq!(outputs(&owner.logs(&path).await), "one\ntwo", "nothing was taken from its daemon");
}

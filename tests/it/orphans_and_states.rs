//! Builds that an administrator steers: dropping a workspace without its resources, and starting from a given state.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use orgplane_proto::provisioner::v1::assign::Job;
use orgplane_proto::provisioner::v1::daemon_message::Message as Said;
use orgplane_proto::provisioner::v1::server_message::Message as Heard;
use orgplane_proto::provisioner::v1::{Outcome, StateReference};
use orgplane_tests::scripted::{reference, result};
use orgplane_tests::world::{outputs, text};
use orgplane_tests::{Databases, Deployment, Rest, Session};
use serde_json::{Value, json};

on_each_database!(a_workspace_is_dropped_without_a_daemon, a_build_starts_from_a_given_state);

const STATE: &[u8] =
    br#"{"version": 4, "terraform_version": "1.11.4", "serial": 3, "lineage": "mine", "resources": []}"#;

/// A workspace of a member's, started by a daemon that does what a test says and left a state.
struct Story {
    session: Session,
    deployment: Deployment,
    owner: Rest,
    ada: Rest,
    workspace: Value,
    organization: String,
}

impl Story {
    async fn start(database: Databases) -> Self {
        let deployment = Deployment::on(database).start().await;
        let owner = deployment.rest().first_user().await;
        let organization = owner.organization("data-platform").await;
        let (ada, _) = owner.user("ada", &[&organization]).await;
        let key = owner.key(&organization, "key", json!({})).await;
        let mut session = Session::start(&deployment, &key, "one").await;
        let template = session.template(&owner, &organization).await;
        let workspace = ada.workspace("dev", &template).await;
        let assign = session.take_job().await;
        let bytes = session.upload(&assign, reference(b"first"), b"first").await.expect("taken");
        let state = StateReference { lineage: "first".to_owned(), serial: 1, reference: Some(bytes) };
        session.permit(&assign).await;
        let mut ended = result(&assign, Outcome::Succeeded, 0);
        ended.state = Some(state);
        session.say(Said::Result(ended)).await;
        session.find("ResultStored", |message| matches!(message, Heard::ResultStored(_)).then_some(())).await;
        Self { session, deployment, owner, ada, workspace, organization }
    }

    fn builds(&self) -> String {
        format!("/api/v2/workspaces/{}/builds", text(&self.workspace, "id"))
    }

    async fn state(&self, build: &Value) -> Vec<u8> {
        let answer = self.owner.get(&format!("/api/v2/workspacebuilds/{}/state", text(build, "id"))).await;
        let _ = answer.expect(200);
        answer.bytes
    }
}

async fn a_workspace_is_dropped_without_a_daemon(database: Databases) {
    let story = Story::start(database).await;
    let before = story.deployment.database().rows().await;
    for (body, status, field) in [
        (json!({"transition": "start", "orphan": true}), 400, "orphan"),
        (json!({"transition": "stop", "orphan": true}), 400, "orphan"),
        (json!({"transition": "delete", "orphan": true, "state": BASE64_STANDARD.encode(STATE)}), 400, "orphan"),
        (json!({"transition": "delete", "orphan": "yes"}), 400, "orphan"),
    ] {
        story.owner.post(&story.builds(), body).await.refused_for(status, field);
    }
    // Whoever may delete it may not leave its resources behind.
    let orphan = json!({"transition": "delete", "orphan": true});
    story.ada.post(&story.builds(), orphan.clone()).await.refused(403);
    assert_eq!(story.deployment.database().rows().await, before, "something was written");

    drop(story.session);
    let (owner, ada) = (&story.owner, &story.ada);
    owner.daemon(&story.organization, "one", "offline").await;
    let path = format!("/api/v2/workspaces/{}", text(&story.workspace, "id"));
    let builds = format!("{path}/builds");
    let build = owner.post(&builds, orphan).await.expect(201);
    assert_eq!((&build["job"]["status"], &build["status"]), (&json!("succeeded"), &json!("deleted")), "{build}");
    assert!(build["job"]["started_at"].is_string() && build["job"]["completed_at"].is_string(), "{build}");
    assert_eq!(build["job"].get("worker_id"), None, "no daemon had it: {build}");
    let own = format!("/api/v2/workspacebuilds/{}", text(&build, "id"));
    assert!(outputs(&owner.logs(&own).await).contains("without running the template"));
    owner.get(&path).await.refused(410);
    // What the resources are is still told by the build before it.
    let state = |id: String| async move { owner.get(&format!("/api/v2/workspacebuilds/{id}/state")).await.bytes };
    assert_eq!(state(text(&build, "id")).await, b"");
    assert_eq!(state(text(&story.workspace["latest_build"], "id")).await, b"first");
    owner.post(&builds, json!({"transition": "delete", "orphan": true})).await.refused(409);
    // The name is free.
    let template = json!({"id": story.workspace["template_id"]});
    let _ = ada.workspace("dev", &template).await;
}

async fn a_build_starts_from_a_given_state(database: Databases) {
    let mut story = Story::start(database).await;
    let before = story.deployment.database().rows().await;
    for bad in [json!("!!!"), json!("aGVsbG8="), json!("e30="), json!(7)] {
        let body = json!({"transition": "start", "state": bad});
        story.owner.post(&story.builds(), body).await.refused_for(400, "state");
    }
    let body = json!({"transition": "start", "state": BASE64_STANDARD.encode(STATE)});
    story.ada.post(&story.builds(), body.clone()).await.refused(403);
    assert_eq!(story.deployment.database().rows().await, before, "something was written");

    let build = story.owner.post(&story.builds(), body).await.expect(201);
    assert_eq!(story.state(&build).await, STATE);
    let assign = story.session.take_job().await;
    let Some(Job::WorkspaceBuild(job)) = &assign.job else { panic!("{assign:?}") };
    let state = job.state.clone().unwrap();
    assert_eq!((state.lineage.as_str(), state.serial), ("mine", 3));
    assert_eq!(state.reference, Some(reference(STATE)));
    story.session.permit(&assign).await;
    story.session.finish(&assign, Outcome::Succeeded, 0).await;
    // The next build goes on from it; no state is the same as none given.
    let next = story.ada.post(&story.builds(), json!({"transition": "stop", "state": ""})).await.expect(201);
    assert_eq!(story.state(&next).await, STATE);
    assert_eq!(story.state(&story.workspace["latest_build"].clone()).await, b"first", "the older one is kept");
}

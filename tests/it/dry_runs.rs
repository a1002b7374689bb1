//! `…/templateversions/{id}/dry-run`: plans of a version with given values.

use orgplane_proto::provisioner::v1::assign::Job;
use orgplane_proto::provisioner::v1::daemon_message::Message as Said;
use orgplane_proto::provisioner::v1::result::Payload;
use orgplane_proto::provisioner::v1::server_message::Message as Heard;
use orgplane_proto::provisioner::v1::{Discovered, DryRunResult, Outcome, Resource, TemplateVariable};
use orgplane_tests::scripted::result;
use orgplane_tests::world::{outputs, text};
use orgplane_tests::{Archive, Daemon, Databases, Deployment, LONG, Rest, Session};
use serde_json::{Value, json};

on_each_database!(a_dry_run_from_its_request_to_its_resources, a_dry_run_is_canceled);

/// A deployment with a daemon that does what a test says, and a version that was imported by it.
struct Story {
    session: Session,
    deployment: Deployment,
    owner: Rest,
    version: String,
}

impl Story {
    async fn start(database: Databases) -> Self {
        let deployment = Deployment::on(database).start().await;
        let (owner, organization, key) = deployment.furnished().await;
        let mut session = Session::start(&deployment, &key, "one").await;
        let version = owner.import(&organization, Archive::terraform("hello"), "terraform", json!({})).await;
        let version = text(&version, "id");
        let assign = session.take_job().await;
        let path = format!("/api/v2/templateversions/{version}/dry-run");
        owner.post(&path, json!({})).await.refused(425);
        let variable = |name: &str, default: &str, sensitive| TemplateVariable {
            name: name.to_owned(),
            r#type: "string".to_owned(),
            default_value: default.to_owned(),
            sensitive,
            ..TemplateVariable::default()
        };
        session
            .say(Said::Discovered(Discovered {
                job_id: assign.job_id.clone(),
                lease_id: assign.lease_id.clone(),
                variables: vec![variable("size", "small", false), variable("password", "hunter2", true)],
                ..Discovered::default()
            }))
            .await;
        session.finish(&assign, Outcome::Succeeded, 0).await;
        Self { session, deployment, owner, version }
    }

    fn path(&self) -> String {
        format!("/api/v2/templateversions/{}/dry-run", self.version)
    }
}

async fn a_dry_run_from_its_request_to_its_resources(database: Databases) {
    let mut story = Story::start(database).await;
    let before = story.deployment.database().rows().await;
    for (body, field) in [
        (json!({"workspace_name": "has space"}), "workspace_name"),
        (json!({"workspace_name": 1}), "workspace_name"),
        (json!({"rich_parameter_values": [{"name": "none", "value": "x"}]}), "rich_parameter_values"),
        (json!({"rich_parameter_values": {}}), "rich_parameter_values"),
        (json!({"user_variable_values": [{"name": "none", "value": "x"}]}), "user_variable_values"),
        (json!({"user_variable_values": [{"name": "", "value": "x"}]}), "user_variable_values"),
        (json!({"user_variable_values": [{"name": "size"}, {"name": "size"}]}), "user_variable_values"),
        (json!({"user_variable_values": [{"name": "size", "value": "x".repeat(600 * 1024)}]}), "user_variable_values"),
    ] {
        story.owner.post(&story.path(), body).await.refused_for(400, field);
    }
    assert_eq!(story.deployment.database().rows().await, before, "something was written");

    let body = json!({
        "workspace_name": "dev", "rich_parameter_values": null,
        "user_variable_values": [{"name": "size", "value": "large"}],
    });
    let job = story.owner.post(&story.path(), body).await.expect(201);
    assert_eq!((&job["type"], &job["status"]), (&json!("template_version_dry_run"), &json!("pending")), "{job}");
    assert_eq!(job["input"], json!({"template_version_id": story.version}));
    let path = format!("{}/{}", story.path(), text(&job, "id"));
    let assign = story.session.take_job().await;
    assert_eq!(json!(assign.job_id), job["id"]);
    assert!(matches!(assign.job, Some(Job::DryRun(_))), "{assign:?}");
    let values: Vec<_> = assign.variables.iter().map(|v| (v.name.as_str(), v.value.as_str(), v.sensitive)).collect();
    assert_eq!(values, [("size", "large", false), ("password", "hunter2", true)]);
    let metadata = assign.metadata.clone().unwrap();
    assert_eq!((metadata.workspace_name.as_str(), metadata.owner_name.as_str()), ("dev", "owner"));
    assert_eq!(metadata.workspace_id, "");

    let running = story.owner.get(&path).await.expect(200);
    assert_eq!((&running["status"], &running["worker_name"]), (&json!("running"), &json!("one")));
    story.owner.get(&format!("{path}/resources")).await.refused(400);
    let matched = story.owner.get(&format!("{path}/matched-provisioners")).await.expect(200);
    assert_eq!((&matched["count"], &matched["available"]), (&json!(1), &json!(1)), "{matched}");
    story.session.log(&assign, 1, &["Plan: 1 to add"]).await;
    story.session.acknowledged(1).await;
    assert_eq!(outputs(&story.owner.logs(&path).await), "Plan: 1 to add");
    for query in ["after=x", "format=xml"] {
        story.owner.get(&format!("{path}/logs?{query}")).await.refused(400);
    }
    let thing = Resource { r#type: "terraform_data".to_owned(), name: "thing".to_owned(), ..Resource::default() };
    let mut ended = result(&assign, Outcome::Succeeded, 1);
    ended.payload = Some(Payload::DryRun(DryRunResult { resources: vec![thing], modules: Vec::new() }));
    story.session.say(Said::Result(ended)).await;
    story.session.find("ResultStored", |message| matches!(message, Heard::ResultStored(_)).then_some(())).await;
    assert_eq!(story.owner.get(&path).await.expect(200)["status"], "succeeded");
    let resources = story.owner.get(&format!("{path}/resources")).await.expect(200);
    assert_eq!((&resources[0]["name"], &resources[0]["workspace_transition"]), (&json!("thing"), &json!("start")));
    assert_eq!(resources[0]["job_id"], job["id"]);
    // It left the version as it was, and isn't what another path is about.
    let variables = story.owner.get(&format!("/api/v2/templateversions/{}/variables", story.version)).await.expect(200);
    assert_eq!(variables[0]["value"], "small", "{variables}");
    let import = story.owner.get(&format!("/api/v2/templateversions/{}", story.version)).await.expect(200);
    let nobody = "00000000-0000-4000-8000-000000000000";
    for id in [&text(&import["job"], "id"), nobody] {
        for suffix in ["", "/resources", "/matched-provisioners", "/logs"] {
            story.owner.get(&format!("{}/{id}{suffix}", story.path())).await.refused(404);
        }
        story.owner.patch(&format!("{}/{id}/cancel", story.path()), json!({})).await.refused(404);
    }
    story.owner.get(&format!("{}/x", story.path())).await.refused(400);
    story.owner.get(&format!("/api/v2/templateversions/{nobody}/dry-run/{}", text(&job, "id"))).await.refused(404);

    let listed = format!("/api/v2/organizations/data-platform/provisionerjobs/{}", text(&job, "id"));
    let listed = story.owner.get(&listed).await.expect(200);
    assert_eq!(listed["metadata"].get("workspace_name"), None, "there is no workspace: {listed}");
    assert!(!story.deployment.process().output().contains("hunter2"), "the server's log has a secret");
}

async fn a_dry_run_is_canceled(database: Databases) {
    let mut story = Story::start(database).await;
    let (first, second) =
        (story.owner.post(&story.path(), json!({})).await, story.owner.post(&story.path(), json!({})).await);
    let [first, second] = [first, second].map(|job| format!("{}/{}", story.path(), text(&job.expect(201), "id")));
    let assign = story.session.take_job().await;
    // Pending: at once.
    let _ = story.owner.patch(&format!("{second}/cancel"), json!({})).await.expect(200);
    let ended = story.owner.get(&second).await.expect(200);
    assert_eq!(ended["status"], "canceled");
    assert!(ended["canceled_at"].is_string() && ended["completed_at"].is_string(), "{ended}");
    assert_eq!(story.owner.get(&format!("{second}/resources")).await.expect(200), json!([]));
    // Running: its daemon hears of it, and what it reports decides.
    let _ = story.owner.patch(&format!("{first}/cancel"), json!({})).await.expect(200);
    let cancel = story.session.find("Cancel", |message| match message {
        Heard::Cancel(cancel) => Some(cancel),
        _ => None,
    });
    assert_eq!(cancel.await.job_id, assign.job_id);
    assert_eq!(story.owner.get(&first).await.expect(200)["status"], "canceling");
    story.owner.patch(&format!("{first}/cancel"), json!({})).await.refused(400);
    story.session.finish(&assign, Outcome::Succeeded, 0).await;
    assert_eq!(story.owner.get(&first).await.expect(200)["status"], "succeeded", "it had finished anyway");
    for path in [first, second] {
        story.owner.patch(&format!("{path}/cancel"), json!({})).await.refused(400);
    }
}

#[tokio::test]
async fn a_dry_run_with_terraform() {
    if !orgplane_tests::terraform() {
        return;
    }
    let deployment = Deployment::start().await;
    let (owner, organization, key) = deployment.furnished().await;
    let _daemon = Daemon::start(&deployment, "one", &key, "terraform");
    let main = r#"
        variable "size" { default = "small" }
        resource "terraform_data" "thing" { count = var.size == "enormous" ? 1 : 0 }
    "#;
    let archive = Archive::default().file("main.tf", main.as_bytes()).finish();
    let version = text(&owner.import(&organization, archive, "terraform", json!({})).await, "id");
    assert_eq!(owner.imported(&version, LONG).await["job"]["status"], "succeeded");
    let path = format!("/api/v2/templateversions/{version}/dry-run");
    let body = json!({"workspace_name": "dev", "user_variable_values": [{"name": "size", "value": "enormous"}]});
    let job = owner.post(&path, body).await.expect(201);
    let path = format!("{path}/{}", text(&job, "id"));
    let ended = orgplane_tests::eventually("the end of the dry run", LONG, async || {
        let job: Value = owner.get(&path).await.expect(200);
        job["completed_at"].is_string().then_some(job)
    });
    assert_eq!(ended.await["status"], "succeeded");
    let said = outputs(&owner.logs(&path).await);
    assert!(said.contains("Plan: 1 to add"), "the given value isn't the one that is planned: {said}");
    let resources = owner.get(&format!("{path}/resources")).await.expect(200);
    let names: Vec<_> = resources.as_array().unwrap().iter().map(|r| (text(r, "type"), text(r, "name"))).collect();
    assert_eq!(names, [("terraform_data".to_owned(), "thing".to_owned())]);
    let version = owner.get(&format!("/api/v2/templateversions/{version}")).await.expect(200);
    assert_eq!(version["job"]["status"], "succeeded", "the import is another job");
}

#[tokio::test]
async fn a_version_that_can_not_be_planned() {
    let deployment = Deployment::on(Databases::Sqlite).unrecorded().start().await;
    let (owner, organization, key) = deployment.furnished().await;
    let _daemon = Daemon::start(&deployment, "one", &key, "echo");
    let script = json!({"import": {"outcome": "failed", "error": "nothing fits"}});
    let version = text(&owner.import(&organization, Archive::echo(&script), "echo", json!({})).await, "id");
    owner.imported(&version, LONG).await;
    let path = format!("/api/v2/templateversions/{version}/dry-run");
    owner.post(&path, json!({})).await.refused_for(400, "template_version");
    owner.post("/api/v2/templateversions/x/dry-run", json!({})).await.refused_for(400, "template_version");

    // Echo has a section of its own for them, and a failure is told as of any job.
    let script = json!({"dry_run": {
        "logs": [{"output": "{workspace} of {owner}"}], "outcome": "failed", "error": "it can't be planned",
        "resources": [{"type": "echo", "name": "thing"}],
    }});
    let version = text(&owner.import(&organization, Archive::echo(&script), "echo", json!({})).await, "id");
    owner.imported(&version, LONG).await;
    let path = format!("/api/v2/templateversions/{version}/dry-run");
    let job = owner.post(&path, json!({"workspace_name": "dev"})).await.expect(201);
    let path = format!("{path}/{}", text(&job, "id"));
    let ended = orgplane_tests::eventually("the end of the dry run", LONG, async || {
        let job: Value = owner.get(&path).await.expect(200);
        job["completed_at"].is_string().then_some(job)
    });
    let ended = ended.await;
    assert_eq!((&ended["status"], &ended["error"]), (&json!("failed"), &json!("it can't be planned")));
    assert!(outputs(&owner.logs(&path).await).contains("dev of owner"));
}

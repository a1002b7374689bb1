//! Canceling each type of job: at once while it waits, by what its daemon reports once it runs.

use orgplane_proto::provisioner::v1::server_message::Message as Heard;
use orgplane_proto::provisioner::v1::{Assign, Outcome, Verdict};
use orgplane_tests::world::text;
use orgplane_tests::{Archive, Databases, Deployment, Rest, Session};
use serde_json::{Value, json};

on_each_database!(what_the_daemon_reports_decides, what_waits_ends_at_once);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Import,
    DryRun,
    Build,
}

const KINDS: [Kind; 3] = [Kind::Import, Kind::DryRun, Kind::Build];

struct Story {
    session: Session,
    _deployment: Deployment,
    owner: Rest,
    organization: String,
    template: Value,
    made: u32,
}

impl Story {
    async fn start(database: Databases) -> Self {
        let deployment = Deployment::on(database).start().await;
        let (owner, organization, key) = deployment.furnished().await;
        let mut session = Session::start(&deployment, &key, "one").await;
        let template = session.template(&owner, &organization).await;
        Self { session, _deployment: deployment, owner, organization, template, made: 0 }
    }

    /// Queues a job; its path.
    async fn job(&mut self, kind: Kind) -> String {
        self.made += 1;
        let version = text(&self.template, "active_version_id");
        match kind {
            Kind::Import => {
                let archive = Archive::terraform(&self.made.to_string());
                let version = self.owner.import(&self.organization, archive, "terraform", json!({})).await;
                format!("/api/v2/templateversions/{}", text(&version, "id"))
            }
            Kind::DryRun => {
                let path = format!("/api/v2/templateversions/{version}/dry-run");
                format!("{path}/{}", text(&self.owner.post(&path, json!({})).await.expect(201), "id"))
            }
            Kind::Build => {
                let workspace = self.owner.workspace(&format!("dev-{}", self.made), &self.template).await;
                format!("/api/v2/workspacebuilds/{}", text(&workspace["latest_build"], "id"))
            }
        }
    }

    async fn read(&self, kind: Kind, path: &str) -> Value {
        let object = self.owner.get(path).await.expect(200);
        if kind == Kind::DryRun { object } else { object["job"].clone() }
    }

    async fn cancel(&self, path: &str, query: &str, status: u16) {
        let answer = self.owner.patch(&format!("{path}/cancel{query}"), json!({})).await;
        if status == 200 {
            assert!(!text(&answer.expect(200), "message").is_empty());
        } else {
            answer.refused(status);
        }
    }

    async fn hears_cancel(&mut self, assign: &Assign) {
        let cancel = self.session.find("Cancel", |message| match message {
            Heard::Cancel(cancel) => Some(cancel),
            _ => None,
        });
        assert_eq!(cancel.await.job_id, assign.job_id);
    }
}

async fn what_waits_ends_at_once(database: Databases) {
    let mut story = Story::start(database).await;
    let holder = story.job(Kind::Import).await;
    let assign = story.session.take_job().await;
    for kind in KINDS {
        let path = story.job(kind).await;
        if kind == Kind::Build {
            story.cancel(&path, "?expect_status=running", 412).await;
            for bad in ["done", "canceling", "PENDING"] {
                story.cancel(&path, &format!("?expect_status={bad}"), 400).await;
            }
        }
        assert_eq!(story.read(kind, &path).await["status"], "pending", "{kind:?}");
        let query = if kind == Kind::Build { "?expect_status=pending" } else { "" };
        story.cancel(&path, query, 200).await;
        let job = story.read(kind, &path).await;
        assert_eq!((&job["status"], job.get("error")), (&json!("canceled"), None), "{kind:?}: {job}");
        assert!(job["canceled_at"].is_string() && job["completed_at"].is_string(), "{kind:?}: {job}");
        assert_eq!(job.get("worker_id"), None, "{kind:?}: {job}");
        // It has ended, whatever is expected of it.
        story.cancel(&path, "", 400).await;
        if kind == Kind::Build {
            story.cancel(&path, "?expect_status=pending", 400).await;
        }
    }
    story.session.finish(&assign, Outcome::Succeeded, 0).await;
    story.cancel(&holder, "", 400).await;
}

async fn what_the_daemon_reports_decides(database: Databases) {
    let mut story = Story::start(database).await;
    for kind in KINDS {
        for (outcome, status) in
            [(Outcome::Canceled, "canceled"), (Outcome::Succeeded, "succeeded"), (Outcome::Failed, "failed")]
        {
            let path = story.job(kind).await;
            let assign = story.session.take_job().await;
            let what = format!("{kind:?} {outcome:?}");
            // One that finished anyway had its permit before.
            let applies = kind == Kind::Build && outcome == Outcome::Succeeded;
            if applies {
                assert_eq!(story.session.permit(&assign).await.verdict(), Verdict::Go, "{what}");
            }
            if kind == Kind::Build {
                story.cancel(&path, "?expect_status=pending", 412).await;
                assert_eq!(story.read(kind, &path).await["status"], "running", "{what}");
            }
            story.cancel(&path, if kind == Kind::Build { "?expect_status=running" } else { "" }, 200).await;
            story.hears_cancel(&assign).await;
            let job = story.read(kind, &path).await;
            assert_eq!(job["status"], "canceling", "{what}");
            assert!(job["canceled_at"].is_string() && job.get("completed_at").is_none(), "{what}: {job}");
            story.cancel(&path, "", 400).await;
            if kind == Kind::Build && !applies {
                assert_eq!(story.session.permit(&assign).await.verdict(), Verdict::Canceled, "{what}");
            }
            story.session.finish(&assign, outcome, 0).await;
            let job = story.read(kind, &path).await;
            assert_eq!(job["status"], status, "{what}: {job}");
            assert_eq!(job["error"].is_string(), outcome == Outcome::Failed, "{what}: {job}");
            story.cancel(&path, "", 400).await;
        }
    }
}

//! The usual steps of a story, over REST: organizations, people, keys, templates, workspaces.

use std::time::Duration;

use serde_json::{Value, json};

use crate::deployment::PASSWORD;
use crate::rest::Rest;
use crate::wait::{SHORT, eventually};

/// A text member of a JSON object.
///
/// # Panics
/// When there is none.
#[track_caller]
#[must_use]
pub fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_else(|| panic!("no text {member:?} in {value}")).to_owned()
}

impl Rest {
    /// Creates an organization; its id.
    pub async fn organization(&self, name: &str) -> String {
        text(&self.post("/api/v2/organizations", json!({"name": name})).await.expect(201), "id")
    }

    /// The id of the default organization.
    pub async fn default_organization(&self) -> String {
        text(&self.get("/api/v2/organizations/default").await.expect(200), "id")
    }

    /// Creates a user and signs them in; their client and id.
    pub async fn user(&self, username: &str, organizations: &[&str]) -> (Self, String) {
        let email = format!("{username}@example.com");
        let body = json!({
            "email": email, "username": username, "password": PASSWORD, "organization_ids": organizations,
            "user_status": "active",
        });
        let user = self.post("/api/v2/users", body).await.expect(201);
        (self.login(&email).await, text(&user, "id"))
    }

    /// Makes one role of an organization all that a member holds there.
    pub async fn give(&self, organization: &str, user: &str, role: &str) {
        let path = format!("/api/v2/organizations/{organization}/members/{user}/roles");
        let _ = self.put(&path, json!({"roles": [role]})).await.expect(200);
    }

    /// Creates a token of a user's; the token.
    pub async fn token_of(&self, user: &str, body: Value) -> String {
        text(&self.post(&format!("/api/v2/users/{user}/keys/tokens"), body).await.expect(201), "key")
    }

    /// The audit log's entries of a search, newest first.
    ///
    /// # Panics
    /// When they can't be read.
    pub async fn audit(&self, q: &str) -> Vec<Value> {
        let request = self.request(reqwest::Method::GET, "/api/v2/audit").query(&[("q", q), ("limit", "1000")]);
        self.send(request).await.expect(200)["audit_logs"].as_array().expect("a list").clone()
    }

    /// Creates a provisioner key; its secret.
    pub async fn key(&self, organization: &str, name: &str, tags: Value) -> String {
        let path = format!("/api/v2/organizations/{organization}/provisionerkeys");
        text(&self.post(&path, json!({"name": name, "tags": tags})).await.expect(201), "key")
    }

    /// Waits until a daemon is shown in a status.
    pub async fn daemon(&self, organization: &str, name: &str, status: &str) -> Value {
        let path = format!("/api/v2/organizations/{organization}/provisionerdaemons?offline=true");
        eventually(&format!("daemon {name} to be {status}"), SHORT, async || {
            let daemons = self.get(&path).await.expect(200);
            let daemon = daemons.as_array()?.iter().find(|d| d["name"] == name)?.clone();
            (daemon["status"] == status).then_some(daemon)
        })
        .await
    }

    /// Uploads an archive and queues its import; the template version.
    pub async fn import(&self, organization: &str, tar: Vec<u8>, engine: &str, tags: Value) -> Value {
        let file = self.upload(tar).await;
        assert!([200, 201].contains(&file.status), "{file:?}");
        let body = json!({
            "storage_method": "file", "file_id": file.body["hash"], "provisioner": engine, "tags": tags,
        });
        self.post(&format!("/api/v2/organizations/{organization}/templateversions"), body).await.expect(201)
    }

    /// Waits for the end of a version's import; the version.
    pub async fn imported(&self, version: &str, patience: Duration) -> Value {
        self.ended(&format!("/api/v2/templateversions/{version}"), patience).await
    }

    /// Waits for the end of a build's job; the build.
    pub async fn built(&self, build: &str, patience: Duration) -> Value {
        self.ended(&format!("/api/v2/workspacebuilds/{build}"), patience).await
    }

    async fn ended(&self, path: &str, patience: Duration) -> Value {
        eventually(&format!("the end of the job of {path}"), patience, async || {
            let object = self.get(path).await.expect(200);
            let status = text(&object["job"], "status");
            ["succeeded", "failed", "canceled"].contains(&status.as_str()).then_some(object)
        })
        .await
    }

    /// Waits until the job of a version or build is in a status.
    pub async fn in_status(&self, path: &str, status: &str) -> Value {
        eventually(&format!("{path} to be {status}"), SHORT, async || {
            let object = self.get(path).await.expect(200);
            (object["job"]["status"] == status).then_some(object)
        })
        .await
    }

    /// Imports an archive with success and makes a template of it; the template.
    pub async fn template(&self, organization: &str, name: &str, tar: Vec<u8>, engine: &str) -> Value {
        let version = text(&self.import(organization, tar, engine, json!({})).await, "id");
        let version = self.imported(&version, crate::LONG).await;
        assert_eq!(version["job"]["status"], "succeeded", "{version}");
        let body = json!({"name": name, "template_version_id": version["id"]});
        self.post(&format!("/api/v2/organizations/{organization}/templates"), body).await.expect(201)
    }

    /// Creates a workspace of one's own; it has its first build queued.
    pub async fn workspace(&self, name: &str, template: &Value) -> Value {
        let body = json!({"name": name, "template_id": template["id"]});
        self.post("/api/v2/users/me/workspaces", body).await.expect(201)
    }

    /// Queues a build of a workspace.
    pub async fn build(&self, workspace: &Value, transition: &str) -> Value {
        let path = format!("/api/v2/workspaces/{}/builds", text(workspace, "id"));
        self.post(&path, json!({"transition": transition})).await.expect(201)
    }

    /// The log lines under a path, checked for being numbered from 1 without a gap.
    ///
    /// # Panics
    /// When they aren't.
    pub async fn logs(&self, path: &str) -> Vec<Value> {
        let logs = self.get(&format!("{path}/logs")).await.expect(200);
        let logs = logs.as_array().expect("a list").clone();
        for (place, line) in logs.iter().enumerate() {
            assert_eq!(line["id"].as_u64(), Some(place as u64 + 1), "{path}: {logs:?}");
        }
        logs
    }
}

/// The outputs of log lines, one a line.
#[must_use]
pub fn outputs(logs: &[Value]) -> String {
    logs.iter().filter_map(|line| line["output"].as_str()).collect::<Vec<_>>().join("\n")
}

//! Templates and workspaces for tests, with jobs that end as a test says.

use std::time::Duration;

use futures_util::stream;
use tar::{Builder, Header};

use super::{NewTemplate, TemplateView};
use crate::domain::Result;
use crate::domain::id::{DaemonId, JobId, OrganizationId};
use crate::domain::job::{Group, Hold, Outcome, Report, Slot};
use crate::service::template_version::{NewTemplateVersion, TemplateVersionView};
use crate::service::testing::Deployment;
use crate::service::workspace::{NewWorkspace, WorkspaceView};
use crate::service::{Caller, Service};
use crate::store;

/// A small archive with this in its only file.
pub(crate) fn archive(content: &str) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.set_size(content.len() as u64);
    let mut builder = Builder::new(Vec::new());
    builder.append_data(&mut header, "main.tf", content.as_bytes()).unwrap();
    builder.into_inner().unwrap()
}

pub(crate) async fn upload(service: &Service, caller: &Caller, bytes: &[u8]) -> Result<(String, bool)> {
    let pieces: Vec<_> = bytes.chunks(1000).map(|piece| Ok(piece.to_vec())).collect();
    let (file, created) = service.file_upload(caller, "application/x-tar", stream::iter(pieces)).await?;
    Ok((file.id.to_string(), created))
}

pub(crate) fn new_version(organization: OrganizationId, file_id: &str) -> NewTemplateVersion {
    NewTemplateVersion {
        organization: organization.to_string(),
        storage_method: "file".into(),
        file_id: file_id.into(),
        provisioner: "echo".into(),
        ..NewTemplateVersion::default()
    }
}

pub(crate) fn new_template(organization: OrganizationId, name: &str, version: &TemplateVersionView) -> NewTemplate {
    NewTemplate {
        organization: organization.to_string(),
        name: name.into(),
        template_version_id: version.version.id.to_string(),
        ..NewTemplate::default()
    }
}

pub(crate) fn new_workspace(template: &TemplateView, name: &str) -> NewWorkspace {
    NewWorkspace {
        user: "me".into(),
        template_id: template.template.id.to_string(),
        name: name.into(),
        ..NewWorkspace::default()
    }
}

impl Deployment {
    /// A version whose import waits.
    pub(crate) async fn version(&self, admin: &Caller, organization: OrganizationId) -> TemplateVersionView {
        let (file, _) = upload(self, admin, &archive("a")).await.unwrap();
        self.template_version_create(admin, new_version(organization, &file)).await.unwrap()
    }

    /// A template whose version was imported.
    pub(crate) async fn template(&self, admin: &Caller, organization: OrganizationId, name: &str) -> TemplateView {
        let version = self.version(admin, organization).await;
        self.end(version.version.job_id, Outcome::Succeeded).await;
        self.template_create(admin, new_template(organization, name, &version)).await.unwrap()
    }

    /// A workspace that was started.
    pub(crate) async fn workspace(&self, caller: &Caller, template: &TemplateView, name: &str) -> WorkspaceView {
        let workspace = self.workspace_create(caller, new_workspace(template, name)).await.unwrap();
        self.end(workspace.latest_build.build.job_id, Outcome::Succeeded).await;
        self.workspace_get(caller, &workspace.workspace.id.to_string(), false).await.unwrap()
    }

    /// Gives a waiting job, which must be the next of its group, to a daemon.
    pub(crate) async fn claim(&self, id: JobId) -> Hold {
        let job = store::provisioner_job::find(&self.store, id).await.unwrap().unwrap();
        let group = Group { organization: job.organization_id, engine: job.engine, tags: job.tags };
        let slot = Slot { worker: DaemonId::new(), worker_name: "tester".into() };
        let tx = self.store.begin().await.unwrap();
        let claimed = store::job_queue::claim(&tx, &group, &[slot], Duration::from_secs(60)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(claimed[0].hold.job, id);
        claimed[0].hold.clone()
    }

    /// Bytes that the daemon of a job uploaded; their SHA-256.
    pub(crate) async fn uploaded(&self, hold: &Hold, bytes: &[u8]) -> String {
        let tx = self.store.begin().await.unwrap();
        let sha256 = store::blob::insert(&tx, bytes).await.unwrap();
        store::job_upload::insert(&tx, hold.job, &sha256).await.unwrap();
        tx.commit().await.unwrap();
        sha256
    }

    /// Ends a job that a daemon has.
    pub(crate) async fn finish(&self, hold: &Hold, report: &Report) {
        let tx = self.store.begin().await.unwrap();
        store::job_queue::finish(&tx, hold, report, (&self.provisioners).into()).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// A waiting job's whole life.
    pub(crate) async fn end(&self, id: JobId, outcome: Outcome) {
        let hold = self.claim(id).await;
        self.finish(&hold, &report(outcome)).await;
    }
}

pub(crate) fn report(outcome: Outcome) -> Report {
    Report { outcome, ..Report::failed("") }
}

/// What a request broke, by the members' names.
#[track_caller]
pub(crate) fn violated<T: std::fmt::Debug>(result: Result<T>) -> Vec<String> {
    match result {
        Err(crate::domain::Error::Invalid(violations)) => violations.into_iter().map(|v| v.field).collect(),
        other => panic!("expected violations, got {other:?}"),
    }
}

//! Rows that jobs stand on, for tests over a real store.

use super::assignment::{Assignment, Bytes, Metadata};
use crate::domain::engine::Engine;
use crate::domain::id::{BuildId, FileId, JobId, OrganizationId, TemplateId, TemplateVersionId, UserId, WorkspaceId};
use crate::domain::job::{Claimed, Input, JobType};
use crate::domain::tags::Tags;
use crate::domain::workspace::Transition;
use crate::store::provisioner_job::{self, NewJob};
use crate::store::{Access as _, Store, Tx, blob};

/// What a daemon is told of a claimed job, with nothing to do in it.
pub(crate) fn assignment(claimed: &Claimed, next_log_number: i64) -> Assignment {
    Assignment {
        hold: claimed.hold.clone(),
        attempt: claimed.attempt,
        job_type: JobType::Import,
        engine: Engine::Echo,
        next_log_number,
        archive: Bytes { sha256: String::new(), size: 0 },
        variables: vec![],
        metadata: Metadata::default(),
        time_limit: std::time::Duration::from_secs(1),
        transition: None,
        state: None,
        lock_file: String::new(),
    }
}

/// An organization with a user, a file and a template.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ground {
    pub(crate) organization: OrganizationId,
    pub(crate) user: UserId,
    pub(crate) file: FileId,
    pub(crate) template: TemplateId,
    pub(crate) version: TemplateVersionId,
}

/// The archive that files of tests hold.
pub(crate) const ARCHIVE: &[u8] = b"an archive";

pub(crate) async fn ground(store: &Store, name: &str) -> Ground {
    let ground = Ground {
        organization: OrganizationId::new(),
        user: UserId::new(),
        file: FileId::new(),
        template: TemplateId::new(),
        version: TemplateVersionId::new(),
    };
    let tx = store.begin().await.unwrap();
    let sql = "INSERT INTO organization (id, name, display_name, description, icon, is_default, deleted, created_at,
        updated_at) VALUES ($1, $2, $2, '', '', $3, $3, 0, 0)";
    tx.execute(sql, [ground.organization.into(), name.into(), false.into()]).await.unwrap();
    insert_user(&tx, ground.user, &format!("{name}-user")).await;
    let sha256 = blob::insert(&tx, ARCHIVE).await.unwrap();
    let sql = "INSERT INTO file (id, sha256, content_type, created_by, created_at) VALUES ($1, $2, 'application/x-tar', $3, 0)";
    tx.execute(sql, [ground.file.into(), sha256.into(), ground.user.into()]).await.unwrap();
    let sql = "INSERT INTO template (id, organization_id, name, display_name, description, icon, engine,
        active_version_id, allow_user_cancel_workspace_jobs, created_by, deleted, created_at, updated_at)
        VALUES ($1, $2, 'template', '', '', '', 'echo', $3, $4, $5, $4, 0, 0)";
    let values =
        [ground.template.into(), ground.organization.into(), ground.version.into(), false.into(), ground.user.into()];
    tx.execute(sql, values).await.unwrap();
    tx.commit().await.unwrap();
    let import = Input::Import(ground.version);
    insert(store, &ground, import, Tags::of_key(&[("never".to_owned(), "claimed".to_owned())].into())).await;
    ground
}

async fn insert_user(tx: &Tx, id: UserId, name: &str) {
    let sql = "INSERT INTO user_account (id, username, email, name, avatar_url, password_hash, login_type, status,
        deleted, created_at, updated_at) VALUES ($1, $2, $3, '', '', '', 'password', 'active', $4, 0, 0)
        ON CONFLICT (id) DO NOTHING";
    tx.execute(sql, [id.into(), name.into(), format!("{name}@x.org").into(), false.into()]).await.unwrap();
}

/// Inserts a user, unless there is one.
pub(crate) async fn user(tx: &Tx, id: UserId) {
    insert_user(tx, id, &id.to_string()).await;
}

/// Inserts an import of nothing, for tests of who gets it.
pub(crate) async fn import(tx: &Tx, ground: &Ground, tags: Tags) {
    let new = NewJob {
        id: JobId::new(),
        organization_id: ground.organization,
        initiator_id: ground.user,
        input: Input::Import(TemplateVersionId::new()),
        engine: Engine::Echo,
        tags,
        automatic: false,
        file_id: ground.file,
    };
    provisioner_job::insert(tx, new).await.unwrap();
}

/// Inserts a job and what it works on.
pub(crate) async fn insert(store: &Store, ground: &Ground, input: Input, tags: Tags) -> JobId {
    let id = JobId::new();
    let tx = store.begin().await.unwrap();
    let new = NewJob {
        id,
        organization_id: ground.organization,
        initiator_id: ground.user,
        input,
        engine: Engine::Echo,
        tags,
        automatic: false,
        file_id: ground.file,
    };
    provisioner_job::insert(&tx, new).await.unwrap();
    match input {
        Input::Import(version) | Input::DryRun(version) => {
            let template = (version == ground.version).then_some(ground.template);
            let sql = "INSERT INTO template_version (id, organization_id, template_id, job_id, name, message, readme,
                lock_file, user_variable_values, archived, created_by, created_at, updated_at)
                VALUES ($1, $2, $3, $4, 'v1', '', '', '', $5, $6, $7, 0, 0)";
            let given = tx.sealer().seal(br#"{"region":"eu"}"#);
            let values = [
                version.into(),
                ground.organization.into(),
                template.into(),
                id.into(),
                given.into(),
                false.into(),
                ground.user.into(),
            ];
            tx.execute(sql, values).await.unwrap();
        }
        Input::Build(build) => {
            let workspace = WorkspaceId::new();
            let sql = "INSERT INTO workspace (id, organization_id, owner_id, template_id, name, deleted, created_at,
                updated_at) VALUES ($1, $2, $3, $4, $5, $6, 0, 0)";
            let values = [
                workspace.into(),
                ground.organization.into(),
                ground.user.into(),
                ground.template.into(),
                workspace.to_string().into(),
                false.into(),
            ];
            tx.execute(sql, values).await.unwrap();
            let sql = "INSERT INTO workspace_build (id, workspace_id, build_number, template_version_id, job_id,
                initiator_id, transition, reason, state_lineage, state_serial, daily_cost, created_at, updated_at)
                VALUES ($1, $2, 1, $3, $4, $5, $6, 'initiator', '', 0, 0, 0, 0)";
            let values = [
                build.into(),
                workspace.into(),
                ground.version.into(),
                id.into(),
                ground.user.into(),
                Transition::Delete.into(),
            ];
            tx.execute(sql, values).await.unwrap();
        }
    }
    tx.commit().await.unwrap();
    id
}

/// A build of a workspace of its own, which it deletes.
pub(crate) async fn build(store: &Store, ground: &Ground, tags: Tags) -> JobId {
    insert(store, ground, Input::Build(BuildId::new()), tags).await
}

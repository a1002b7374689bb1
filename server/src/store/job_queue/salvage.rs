//! What daemons hand in of jobs that were given up while they may have changed things. Nothing newer is ever replaced.

use sea_orm::FromQueryResult as _;

use crate::domain::error::ProtocolFault;
use crate::domain::id::JobId;
use crate::domain::job::{LogLevel, StateReference, Status, Succession};
use crate::domain::{Error, Result};
use crate::store::entity::{provisioner_job, workspace_build};
use crate::store::error::from_db;
use crate::store::workspace_build::set_state;
use crate::store::{Access as _, Tx, job_log, job_upload, workspace};

/// Takes a state of a job that was lost, whose row is held; the serial of the one that is stored then. Where no later build
/// has started it becomes the workspace's, else it is kept beside the build's own.
pub(super) async fn take(tx: &Tx, job: &provisioner_job::Model, state: &StateReference) -> Result<i64> {
    let stale = || Error::Protocol(ProtocolFault::StaleState(job.id));
    let own = find(tx, job.id).await?.ok_or_else(stale)?;
    // From here on no build is queued that would start from what is replaced.
    workspace::lock(tx, own.workspace_id).await?;
    let own = find(tx, job.id).await?.ok_or_else(stale)?;
    let stored = match &own.salvaged_sha256 {
        Some(sha256) => Some(StateReference {
            lineage: own.state_lineage.clone(),
            serial: own.salvaged_serial,
            sha256: sha256.clone(),
        }),
        None => own.state(),
    };
    match state.succeeds(stored.as_ref()) {
        Succession::Newer => {}
        Succession::Same => return Ok(state.serial),
        Succession::Older | Succession::Foreign => return Err(stale()),
    }
    if !job_upload::exists(tx, job.id, &state.sha256).await? {
        return Err(Error::Protocol(ProtocolFault::MissingBytes(job.id)));
    }
    let number = own.build_number;
    if let Some(waiting) = not_started_after(tx, &own).await? {
        set_state(tx, own.id, state).await?;
        for build in waiting.iter().filter(|build| build.state() == own.state()) {
            set_state(tx, build.id, state).await?;
        }
        let text =
            format!("The provisioner daemon came back with a state (serial {}): it is the build's now.", state.serial);
        job_log::append_lost(tx, job.id, LogLevel::Warn, &text).await?;
    } else {
        // The lineage is the one of the build's own state; without any this is the first to tell it.
        let sql = format!(
            "UPDATE workspace_build SET salvaged_sha256 = $2, state_lineage = $3, salvaged_serial = $4, updated_at = {}
             WHERE id = $1",
            tx.dialect().now()
        );
        let values = [own.id.into(), state.sha256.clone().into(), state.lineage.clone().into(), state.serial.into()];
        tx.execute(&sql, values).await?;
        let text = format!(
            "The provisioner daemon came back with a state (serial {}) when a build after build {number} had started. It \
             isn't used; GET /api/v2/workspacebuilds/{}/state?salvaged=true gives it.",
            state.serial, own.id
        );
        job_log::append_lost(tx, job.id, LogLevel::Error, &text).await?;
    }
    Ok(state.serial)
}

async fn find(tx: &Tx, job: JobId) -> Result<Option<workspace_build::Model>> {
    let row = tx.query_one("SELECT * FROM workspace_build WHERE job_id = $1", [job.into()]).await?;
    row.map(|row| workspace_build::Model::from_query_result(&row, "")).transpose().map_err(from_db)
}

/// The later builds of a workspace that is held, if no daemon ever had one of them; none gets one before the transaction
/// ends. A job that somebody is about to do something with counts as started.
async fn not_started_after(tx: &Tx, own: &workspace_build::Model) -> Result<Option<Vec<workspace_build::Model>>> {
    let sql = "SELECT * FROM workspace_build WHERE workspace_id = $1 AND build_number > $2 ORDER BY build_number";
    let rows = tx.query_all(sql, [own.workspace_id.into(), own.build_number.into()]).await?;
    let read = |row| workspace_build::Model::from_query_result(row, "").map_err(from_db);
    let later: Vec<_> = rows.iter().map(read).collect::<Result<_>>()?;
    for build in &later {
        let sql = format!("SELECT attempt, status FROM provisioner_job WHERE id = $1 {}", tx.dialect().skip_locked());
        let Some(row) = tx.query_one(&sql, [build.job_id.into()]).await? else { return Ok(None) };
        let attempt: i32 = row.try_get_by_index(0).map_err(from_db)?;
        let status: Status = row.try_get_by_index(1).map_err(from_db)?;
        // One that was dropped without a daemon left its resources on purpose.
        if attempt > 0 || status == Status::Succeeded {
            return Ok(None);
        }
    }
    Ok(Some(later))
}

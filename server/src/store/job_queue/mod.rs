//! Handing jobs out and taking them back, in plain SQL: the hottest statements of the product. Each is guarded by the
//! lease, so that a daemon that lost its job can't write about it.

mod claim;
mod end;
mod lease;
mod reap;
mod report;
mod salvage;
mod standing;

pub use claim::{claim, groups};
pub use end::{fail, finish, hand_in, request_cancel, waive};
pub use lease::{give_back, live, permit, renew, resume, unpermitted_of};
pub use reap::{missed, reap, release};
pub use report::{checkpoint, discovered};
pub use standing::{standings, waiting_groups};

use sea_orm::{EntityTrait as _, FromQueryResult as _, Value};

use super::entity::provisioner_job;
use super::error::from_db;
use super::{Access, Tx};
use crate::domain::id::JobId;
use crate::domain::job::{Hold, State};
use crate::domain::{Error, Result};

/// Leases in one statement; databases bound the parameters of one.
const CHUNK: usize = 4000;

/// The job's row, held until the transaction ends.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn locked(tx: &Tx, id: JobId) -> Result<Option<provisioner_job::Model>> {
    let sql = format!("SELECT * FROM provisioner_job WHERE id = $1 {}", tx.dialect().for_update());
    let row = tx.query_one(&sql, [id.into()]).await?;
    row.map(|row| provisioner_job::Model::from_query_result(&row, "")).transpose().map_err(from_db)
}

/// The same, if it is under this lease and hasn't ended.
async fn locked_held(tx: &Tx, hold: &Hold) -> Result<provisioner_job::Model> {
    held(locked(tx, hold.job).await?.ok_or(Error::LeaseLost(hold.job))?, hold)
}

/// A job that was read, if it is under this lease and hasn't ended.
fn held(job: provisioner_job::Model, hold: &Hold) -> Result<provisioner_job::Model> {
    let held = job.lease_id.as_ref() == Some(&hold.lease) && job.status.is_leased();
    if held { Ok(job) } else { Err(Error::LeaseLost(hold.job)) }
}

/// What a transition changes of a row, beyond the state itself.
#[derive(Debug, Default)]
struct Change<'a> {
    error: &'a str,
    error_code: Option<crate::domain::job::ErrorCode>,
    /// Somebody asked for it to stop, now.
    canceled: bool,
}

/// Writes a job's new state over the one that was read, in the transaction that read it.
async fn write_state(tx: &Tx, old: &provisioner_job::Model, new: &State, change: Change<'_>) -> Result<()> {
    let sql = format!(
        "UPDATE provisioner_job SET status = $2, losses = $3, lease_id = $4, lost_lease_id = $11,
             lease_expires_at = CASE WHEN $5 THEN lease_expires_at ELSE NULL END,
             worker_id = CASE WHEN $6 THEN NULL ELSE worker_id END,
             worker_name = CASE WHEN $6 THEN '' ELSE worker_name END,
             started_at = CASE WHEN $6 THEN NULL ELSE started_at END,
             error = $7, error_code = $8,
             canceled_at = CASE WHEN $9 THEN COALESCE(canceled_at, {now}) ELSE canceled_at END,
             completed_at = CASE WHEN $10 THEN {now} ELSE completed_at END,
             updated_at = {now}
         WHERE id = $1",
        now = tx.dialect().now()
    );
    let pending = new.status == crate::domain::job::Status::Pending;
    let values: [Value; 11] = [
        old.id.into(),
        new.status.into(),
        new.losses.into(),
        new.lease.as_ref().map(|lease| lease.id.clone()).into(),
        new.status.is_leased().into(),
        pending.into(),
        change.error.into(),
        change.error_code.unwrap_or(old.error_code).into(),
        change.canceled.into(),
        new.status.is_ended().into(),
        new.lost.clone().into(),
    ];
    tx.execute(&sql, values).await.map(|_| ())
}

/// The job, whoever has it.
async fn find(db: &impl Access, id: JobId) -> Result<Option<provisioner_job::Model>> {
    provisioner_job::Entity::find_by_id(id).one(&db.executor()).await.map_err(from_db)
}

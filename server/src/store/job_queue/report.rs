//! What jobs leave behind: states, resources, what imports learned.

use std::collections::BTreeMap;

use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _};

use super::{held, locked, locked_held, salvage};
use crate::domain::error::ProtocolFault;
use crate::domain::id::ResourceId;
use crate::domain::job::{Discovery, Hold, Input, Report, Resource, StateReference, Status, Succession, Timing};
use crate::domain::workspace::Transition;
use crate::domain::{Error, Result};
use crate::store::entity::{
    job_resource, job_timing, provisioner_job, template_version, template_version_variable, workspace_build,
};
use crate::store::error::from_db;
use crate::store::workspace_build::set_state;
use crate::store::{Access as _, Tx, job_upload, now};

/// Rows in one insert.
const ROWS: usize = 500;

/// Makes a state the build's; the serial of the one that is stored then. One of a job that was lost after its permit is
/// salvage.
///
/// # Errors
/// [`Error::LeaseLost`], [`ProtocolFault::StaleState`], [`ProtocolFault::MissingBytes`], or [`Error::Unavailable`] when
/// the database can't be reached.
pub async fn checkpoint(tx: &Tx, hold: &Hold, state: &StateReference) -> Result<i64> {
    let job = locked(tx, hold.job).await?.ok_or(Error::LeaseLost(hold.job))?;
    if job.lost_lease_id.as_ref() == Some(&hold.lease) {
        return salvage::take(tx, &job, state).await;
    }
    let job = held(job, hold)?;
    take_state(tx, &job, state, false).await
}

/// The same for a job whose row is held. A result may name a state that a checkpoint left behind already.
pub(super) async fn take_state(
    tx: &Tx,
    job: &provisioner_job::Model,
    state: &StateReference,
    in_result: bool,
) -> Result<i64> {
    let stale = || Error::Protocol(ProtocolFault::StaleState(job.id));
    let of_job = workspace_build::Column::JobId.eq(job.id);
    let build = workspace_build::Entity::find().filter(of_job).one(&tx.executor()).await.map_err(from_db)?;
    let build = build.ok_or_else(stale)?;
    let stored = build.state();
    match state.succeeds(stored.as_ref()) {
        Succession::Newer => {}
        Succession::Same => return Ok(state.serial),
        Succession::Older if in_result => return Ok(build.state_serial),
        Succession::Older | Succession::Foreign => return Err(stale()),
    }
    // Else it could name what is somebody else's, and then have it sent.
    let inherited = stored.is_some_and(|stored| stored.sha256 == state.sha256);
    if !inherited && !job_upload::exists(tx, job.id, &state.sha256).await? {
        return Err(Error::Protocol(ProtocolFault::MissingBytes(job.id)));
    }
    set_state(tx, build.id, state).await?;
    Ok(state.serial)
}

/// Stores what an import learned; anything else has nothing to discover.
///
/// # Errors
/// [`Error::LeaseLost`], or [`Error::Unavailable`] when the database can't be reached.
pub async fn discovered(tx: &Tx, hold: &Hold, discovery: &Discovery) -> Result<()> {
    let job = locked_held(tx, hold).await?;
    let Some(Input::Import(id)) = job.input() else {
        let rule = "only imports discover".to_owned();
        return Err(Error::Protocol(ProtocolFault::Field { field: "discovered", rule }));
    };
    let version = template_version::Entity::find_by_id(id).one(&tx.executor()).await.map_err(from_db)?;
    let version = version.ok_or_else(|| Error::internal("an import without its template version"))?;
    let given: BTreeMap<String, String> =
        serde_json::from_slice(&tx.sealer().open(&version.user_variable_values).map_err(Error::internal)?)
            .map_err(Error::internal)?;
    let sql = format!("UPDATE template_version SET readme = $2, updated_at = {} WHERE id = $1", tx.dialect().now());
    tx.execute(&sql, [id.into(), discovery.readme.clone().into()]).await?;
    tx.execute("DELETE FROM template_version_variable WHERE template_version_id = $1", [id.into()]).await?;
    let rows: Vec<_> = (0_i32..)
        .zip(&discovery.variables)
        .map(|(position, variable)| {
            let value = given.get(&variable.name).unwrap_or(&variable.default_value);
            template_version_variable::ActiveModel {
                template_version_id: Set(id),
                position: Set(position),
                name: Set(variable.name.clone()),
                description: Set(variable.description.clone()),
                kind: Set(variable.kind.clone()),
                default_value: Set(tx.sealer().seal(variable.default_value.as_bytes())),
                required: Set(variable.required),
                sensitive: Set(variable.sensitive),
                value: Set(tx.sealer().seal(value.as_bytes())),
            }
        })
        .collect();
    for some in rows.chunks(ROWS) {
        let insert = template_version_variable::Entity::insert_many(some.to_vec());
        insert.exec_without_returning(&tx.executor()).await.map_err(from_db)?;
    }
    Ok(())
}

/// Stores what a job leaves, and lets its end have its way with the workspace.
pub(super) async fn leave_behind(tx: &Tx, job: &provisioner_job::Model, report: &Report, status: Status) -> Result<()> {
    let created_at = now(tx).await?;
    let rows = report.resources.iter().map(|resource| {
        let Resource { transition, kind, name, address, module_path, hide, icon, daily_cost, metadata } =
            resource.clone();
        let metadata = serde_json::to_vec(&metadata).map_err(Error::internal)?;
        Ok(job_resource::ActiveModel {
            id: Set(ResourceId::new()),
            job_id: Set(job.id),
            transition: Set(transition),
            kind: Set(kind),
            name: Set(name),
            address: Set(address),
            module_path: Set(module_path),
            hide: Set(hide),
            icon: Set(icon),
            daily_cost: Set(daily_cost),
            metadata: Set(tx.sealer().seal(&metadata)),
            created_at: Set(created_at),
        })
    });
    let rows = rows.collect::<Result<Vec<_>>>()?;
    for some in rows.chunks(ROWS) {
        let insert = job_resource::Entity::insert_many(some.to_vec());
        insert.exec_without_returning(&tx.executor()).await.map_err(from_db)?;
    }
    leave_timings(tx, job, &report.timings).await?;
    if let (Some(Input::Import(version)), Status::Succeeded) = (job.input(), status) {
        let sql =
            format!("UPDATE template_version SET lock_file = $2, updated_at = {} WHERE id = $1", tx.dialect().now());
        tx.execute(&sql, [version.into(), report.lock_file.clone().into()]).await?;
    }
    if let (Some(Input::Build(build)), Status::Succeeded) = (job.input(), status) {
        let sql = format!(
            "UPDATE workspace SET deleted = $3, updated_at = {}
             WHERE id = (SELECT workspace_id FROM workspace_build WHERE id = $1 AND transition = $2)",
            tx.dialect().now()
        );
        tx.execute(&sql, [build.into(), Transition::Delete.into(), true.into()]).await?;
    }
    Ok(())
}

async fn leave_timings(tx: &Tx, job: &provisioner_job::Model, timings: &[Timing]) -> Result<()> {
    let rows = (0_i32..).zip(timings).map(|(position, timing)| {
        let Timing { started_at, ended_at, stage, source, action, resource } = timing.clone();
        job_timing::ActiveModel {
            job_id: Set(job.id),
            position: Set(position),
            started_at: Set(started_at),
            ended_at: Set(ended_at),
            stage: Set(stage),
            source: Set(source),
            action: Set(action),
            resource: Set(resource),
        }
    });
    for some in rows.collect::<Vec<_>>().chunks(ROWS) {
        let insert = job_timing::Entity::insert_many(some.to_vec());
        insert.exec_without_returning(&tx.executor()).await.map_err(from_db)?;
    }
    Ok(())
}

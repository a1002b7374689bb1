//! Puts together what daemons get with their jobs.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use async_trait::async_trait;

use crate::dispatch::assignment::{Assemble, Assignment, Bytes, Metadata, VariableValue};
use crate::domain::Result;
use crate::domain::id::{JobId, TemplateVersionId};
use crate::domain::job::{Claimed, JobType, StateReference};
use crate::store::assignment::Row;
use crate::store::entity::template_version_variable;
use crate::store::job_names::JobNames;
use crate::store::{self, Store};

/// What the log of the server tells more about.
const DAMAGED: &str = "The server can't read the template version's stored variables; its log tells more.";

/// Bytes that variables may take of a message, which daemons read up to 1 MiB of; the rest is for all else, which is names.
const VARIABLES: usize = 1024 * 1024 - 16 * 1024;
/// Bytes that a message spends on a variable beside its texts, at most.
const FRAME: usize = 16;
/// Nobody could be given such a job.
const TOO_LARGE: &str = "The template version's variables take more than 1 MiB, which is more than a provisioner daemon \
    takes: shorten their values and defaults.";

/// Reads it from the store.
#[derive(Debug)]
pub struct Assembler {
    store: Store,
    time_limit: Duration,
    server_url: String,
}

impl Assembler {
    /// Over a store; jobs are interrupted after `time_limit`, and templates told that people find the server at
    /// `server_url`.
    #[must_use]
    pub fn new(store: Store, time_limit: Duration, server_url: String) -> Self {
        Self { store, time_limit, server_url }
    }

    fn one(
        &self,
        claimed: &Claimed,
        row: Row,
        names: Option<JobNames>,
        variables: &HashMap<TemplateVersionId, Vec<template_version_variable::Model>>,
    ) -> std::result::Result<Assignment, String> {
        let names = names.ok_or("The job's organization or initiator doesn't exist any more.")?;
        let version = row.template_version_id.map(TemplateVersionId);
        let version = version.ok_or("The job's template version doesn't exist any more.")?;
        if row.job_type == JobType::Build && (row.build_id.is_none() || row.transition.is_none()) {
            return Err("The job's workspace build doesn't exist any more.".to_owned());
        }
        let variables = match row.job_type {
            JobType::Import => self.given(row.user_variable_values.as_deref().unwrap_or_default()),
            JobType::DryRun => {
                let stored = self.stored(variables.get(&version).map_or(&[], Vec::as_slice));
                stored.and_then(|stored| self.with(stored, row.dry_run_values.as_deref().unwrap_or_default()))
            }
            JobType::Build => self.stored(variables.get(&version).map_or(&[], Vec::as_slice)),
        };
        let variables = variables.ok_or(DAMAGED)?;
        let lock_file = match row.job_type {
            JobType::Import => String::new(),
            JobType::DryRun | JobType::Build => row.lock_file.unwrap_or_default(),
        };
        let taken: usize = variables.iter().map(|v| v.name.len() + v.value.len() + FRAME).sum();
        if taken + lock_file.len() > VARIABLES {
            return Err(TOO_LARGE.to_owned());
        }
        let state = match (row.state_sha256, row.state_lineage, row.state_serial) {
            (Some(sha256), Some(lineage), Some(serial)) => {
                Some((StateReference { lineage, serial, sha256 }, size(row.state_size.unwrap_or_default())))
            }
            _ => None,
        };
        Ok(Assignment {
            hold: claimed.hold.clone(),
            attempt: claimed.attempt,
            job_type: row.job_type,
            engine: row.engine,
            next_log_number: row.next_number,
            archive: Bytes { sha256: row.archive_sha256, size: size(row.archive_size) },
            variables,
            metadata: Metadata {
                server_url: self.server_url.clone(),
                ..metadata(names, row.organization_id, row.build_id, row.dry_run_workspace)
            },
            time_limit: self.time_limit,
            transition: row.transition,
            state,
            lock_file,
        })
    }

    /// The values that the version's author gave. Which of them are sensitive isn't known before the import, so all are.
    fn given(&self, sealed: &[u8]) -> Option<Vec<VariableValue>> {
        let values: BTreeMap<String, String> = serde_json::from_slice(&self.open(sealed)?).ok()?;
        let value = |(name, value)| VariableValue { name, value, sensitive: true };
        Some(values.into_iter().map(value).collect())
    }

    /// The values that the import stored.
    fn stored(&self, variables: &[template_version_variable::Model]) -> Option<Vec<VariableValue>> {
        let value = |variable: &template_version_variable::Model| {
            let value = String::from_utf8(self.open(&variable.value)?).ok()?;
            Some(VariableValue { name: variable.name.clone(), value, sensitive: variable.sensitive })
        };
        variables.iter().map(value).collect()
    }

    /// The same with the values of a dry run in their places.
    fn with(&self, mut stored: Vec<VariableValue>, sealed: &[u8]) -> Option<Vec<VariableValue>> {
        let mut given: BTreeMap<String, String> = serde_json::from_slice(&self.open(sealed)?).ok()?;
        for variable in &mut stored {
            if let Some(value) = given.remove(&variable.name) {
                variable.value = value;
            }
        }
        Some(stored)
    }

    fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let opened = self.store.sealer().open(sealed);
        opened.inspect_err(|error| tracing::error!(error = %error, "a template version's variables")).ok()
    }
}

#[async_trait]
impl Assemble for Assembler {
    async fn assemble(&self, claimed: &[Claimed]) -> Result<Vec<std::result::Result<Assignment, String>>> {
        let jobs: Vec<JobId> = claimed.iter().map(|claimed| claimed.hold.job).collect();
        let mut rows = store::assignment::find(&self.store, &jobs).await?;
        let mut names = store::job_names::find(&self.store, &jobs).await?;
        let with_variables = rows.values().filter(|row| row.job_type != JobType::Import);
        let versions = with_variables.filter_map(|row| row.template_version_id.map(TemplateVersionId)).collect();
        let mut variables: HashMap<_, Vec<_>> = HashMap::new();
        for variable in store::assignment::variables(&self.store, versions).await? {
            variables.entry(variable.template_version_id).or_default().push(variable);
        }
        let assemble = |claimed: &Claimed| {
            let row = rows.remove(&claimed.hold.job).ok_or("The job's template archive doesn't exist any more.")?;
            self.one(claimed, row, names.remove(&claimed.hold.job), &variables)
        };
        Ok(claimed.iter().map(assemble).collect())
    }
}

fn size(bytes: i64) -> u64 {
    u64::try_from(bytes).unwrap_or(0)
}

fn metadata(
    names: JobNames,
    organization: uuid::Uuid,
    build: Option<uuid::Uuid>,
    dry_run_workspace: Option<String>,
) -> Metadata {
    let text = |id: Option<uuid::Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
    let JobNames {
        id: _,
        organization_name,
        initiator_name,
        template_version_id,
        template_version_name,
        template_id,
        template_name,
        template_display_name: _,
        template_icon: _,
        workspace_id,
        workspace_name,
        transition: _,
        owner_id,
        owner_name,
        owner_email,
    } = names;
    Metadata {
        server_url: String::new(),
        organization_id: organization.to_string(),
        organization_name,
        initiator_name,
        template_id: text(template_id),
        template_name: template_name.unwrap_or_default(),
        template_version_id: text(template_version_id),
        template_version_name: template_version_name.unwrap_or_default(),
        workspace_id: text(workspace_id),
        workspace_name: workspace_name.or(dry_run_workspace).unwrap_or_default(),
        owner_id: text(owner_id),
        owner_name: owner_name.unwrap_or_default(),
        owner_email: owner_email.unwrap_or_default(),
        build_id: text(build),
    }
}

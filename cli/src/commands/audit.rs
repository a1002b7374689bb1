//! `orgplane audit`.

use anyhow::{Context as _, Result};
use orgplane_proto::audit::v1::{AuditLog, ListAuditLogsRequest, StreamAuditLogsRequest};

use crate::args::{AuditColumn as Column, ExportAudit, ListAudit};
use crate::client::Client;
use crate::output;

pub(crate) async fn list(args: ListAudit) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let request = ListAuditLogsRequest { q: args.query, limit: args.limit, offset: 0 };
    let reply = client.audit().list_audit_logs(request).await.context("can't read the audit log")?;
    let entries = reply.into_inner().audit_logs;
    output::list(args.output.output, &entries, &args.columns, cell, "No entries found.")
}

fn cell(entry: &AuditLog, column: &Column) -> String {
    let user = || entry.user.as_ref().map(|user| user.username.clone()).unwrap_or_default();
    match column {
        Column::Time => output::time(entry.time.as_ref()),
        Column::User => user(),
        Column::Action => entry.action.clone(),
        Column::ResourceType => entry.resource_type.clone(),
        Column::Target => entry.resource_target.clone(),
        Column::Organization => entry.organization.as_ref().map(|one| one.name.clone()).unwrap_or_default(),
        Column::Status => entry.status_code.to_string(),
        Column::Ip => entry.ip.clone(),
        Column::RequestId => entry.request_id.clone(),
        Column::Description => entry.description.replace("{user}", &user()).replace("{target}", &entry.resource_target),
    }
}

pub(crate) async fn export(args: ExportAudit) -> Result<()> {
    let client = Client::signed_in(&args.connection).await?;
    let request = StreamAuditLogsRequest { since: args.since, until: args.until };
    let stream = client.audit().stream_audit_logs(request).await.context("can't read the audit log")?;
    let mut stream = stream.into_inner();
    while let Some(part) = stream.message().await.context("the audit log broke off; what was printed is complete")? {
        let lines: Result<Vec<_>, _> = part.audit_logs.iter().map(serde_json::to_string).collect();
        output::line(&lines?.join("\n"))?;
    }
    Ok(())
}

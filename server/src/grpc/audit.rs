//! `AuditService`.

use std::pin::Pin;

use futures_util::{Stream, StreamExt as _};
use orgplane_proto::audit::v1::audit_service_server::AuditService;
use orgplane_proto::audit::v1::{
    ListAuditLogsRequest, ListAuditLogsResponse, StreamAuditLogsRequest, StreamAuditLogsResponse,
};
use tonic::{Request, Response, Status};

use super::convert::{audit_log as convert, from_timestamp};
use super::{Api, parts, status};
use crate::service::audit_log::COUNTED;

#[tonic::async_trait]
impl AuditService for Api {
    async fn list_audit_logs(
        &self,
        request: Request<ListAuditLogsRequest>,
    ) -> Result<Response<ListAuditLogsResponse>, Status> {
        let (caller, ListAuditLogsRequest { q, limit, offset }) = parts(request)?;
        let (views, count) = self.0.audit_list(&caller, &q, (limit, offset)).await.map_err(status::of)?;
        let audit_logs = views.into_iter().map(convert::audit_log).collect();
        Ok(Response::new(ListAuditLogsResponse { audit_logs, count, count_cap: COUNTED }))
    }

    type StreamAuditLogsStream = Pin<Box<dyn Stream<Item = Result<StreamAuditLogsResponse, Status>> + Send>>;

    async fn stream_audit_logs(
        &self,
        request: Request<StreamAuditLogsRequest>,
    ) -> Result<Response<Self::StreamAuditLogsStream>, Status> {
        let (caller, StreamAuditLogsRequest { since, until }) = parts(request)?;
        let (since, until) = (since.as_ref().map(from_timestamp), until.as_ref().map(from_timestamp));
        let parts = self.0.audit_export(caller, since, until).map_err(status::of)?;
        let replies = parts.map(|part| {
            let audit_logs = part.map_err(status::of)?.into_iter().map(convert::audit_log).collect();
            Ok(StreamAuditLogsResponse { audit_logs })
        });
        Ok(Response::new(Box::pin(replies)))
    }
}

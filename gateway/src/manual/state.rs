//! `GET …/state`: the engine's state as raw bytes.

use axum::extract::State;
use axum::response::IntoResponse as _;
use http::header;
use orgplane_proto::workspace::v1::DownloadWorkspaceBuildStateRequest;
use orgplane_proto::workspace::v1::workspace_build_service_client::WorkspaceBuildServiceClient;

use crate::Gateway;
use crate::call::Call;
use crate::error::Answer;
use crate::stream;

pub(crate) async fn download(State(gateway): State<Gateway>, call: Call) -> Answer {
    let mut message = DownloadWorkspaceBuildStateRequest::default();
    call.path("workspace_build", &mut message.workspace_build)?;
    let mut query = call.query.reader();
    query.flag("salvaged", &mut message.salvaged);
    query.finish()?;
    let mut client = WorkspaceBuildServiceClient::new(gateway.upstream.clone());
    let chunks = client.download_workspace_build_state(call.open_request(message));
    let body = stream::body(&call, chunks, stream::Raw).await?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], body).into_response())
}

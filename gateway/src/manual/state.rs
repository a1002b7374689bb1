//! `GET …/state`: the engine's state as raw bytes.

use axum::extract::State;
use axum::response::IntoResponse as _;
use http::header;
use orgplane_proto::common::v1::Chunk;
use orgplane_proto::workspace::v1::DownloadWorkspaceBuildStateRequest;
use orgplane_proto::workspace::v1::workspace_build_service_client::WorkspaceBuildServiceClient;

use crate::Gateway;
use crate::call::Call;
use crate::error::{Answer, Error};
use crate::stream::{self, Render};

pub(crate) async fn download(State(gateway): State<Gateway>, call: Call) -> Answer {
    let mut message = DownloadWorkspaceBuildStateRequest::default();
    call.path("workspace_build", &mut message.workspace_build)?;
    let mut client = WorkspaceBuildServiceClient::new(gateway.upstream.clone());
    let chunks = client.download_workspace_build_state(call.open_request(message));
    let body = stream::body(&call, chunks, Raw).await?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], body).into_response())
}

struct Raw;

impl Render<Chunk> for Raw {
    fn message(&mut self, chunk: Chunk, into: &mut Vec<u8>) -> Result<(), Error> {
        *into = chunk.data;
        Ok(())
    }

    fn end(&mut self, _: &mut Vec<u8>) {}
}

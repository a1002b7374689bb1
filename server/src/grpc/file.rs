//! `FileService`.

use std::pin::Pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _, stream};
use orgplane_proto::common::v1::Chunk;
use orgplane_proto::template::v1::file_service_server::FileService;
use orgplane_proto::template::v1::upload_file_request::Message;
use orgplane_proto::template::v1::{DownloadFileRequest, UploadFileHeader, UploadFileRequest, UploadFileResponse};
use tonic::{Request, Response, Status, Streaming};

use super::{Api, parts, status};
use crate::domain::{Error, Result as DomainResult};

/// Bytes of one piece.
const LARGEST_PIECE: usize = 256 * 1024;
/// An upload says by then what it is.
const PATIENCE: Duration = Duration::from_secs(30);

#[tonic::async_trait]
impl FileService for Api {
    async fn upload_file(
        &self,
        request: Request<Streaming<UploadFileRequest>>,
    ) -> Result<Response<UploadFileResponse>, Status> {
        let (caller, mut messages) = parts(request)?;
        let late = |_| status::of(Error::invalid("header", "must come within 30 s"));
        let first = tokio::time::timeout(PATIENCE, messages.message()).await.map_err(late)??;
        let first = first.and_then(|first| first.message);
        let Some(Message::Header(UploadFileHeader { content_type })) = first else {
            return Err(status::of(Error::invalid("header", "must come first")));
        };
        // A stream that breaks ends the call with the transport's own status, which the service never sees.
        let mut broken = None;
        let pieces = messages.by_ref().map(|message| match message {
            Ok(message) => piece(message),
            Err(status) => {
                broken = Some(status);
                Err(Error::invalid("data", "must be sent whole"))
            }
        });
        let stored = self.0.file_upload(&caller, &content_type, Box::pin(pieces)).await;
        if let Some(broken) = broken {
            return Err(broken);
        }
        let (file, created) = stored.map_err(status::of)?;
        Ok(Response::new(UploadFileResponse { id: file.id.to_string(), created }))
    }

    type DownloadFileStream = Pin<Box<dyn Stream<Item = Result<Chunk, Status>> + Send>>;

    async fn download_file(
        &self,
        request: Request<DownloadFileRequest>,
    ) -> Result<Response<Self::DownloadFileStream>, Status> {
        let (caller, DownloadFileRequest { file, format }) = parts(request)?;
        let rows = self.0.file_download(&caller, &file, &format).await.map_err(status::of)?;
        Ok(Response::new(Box::pin(chunks(rows))))
    }
}

/// Bytes in messages of a size that every client takes.
pub(super) fn chunks(
    rows: impl Stream<Item = DomainResult<Vec<u8>>> + Send,
) -> impl Stream<Item = Result<Chunk, Status>> + Send {
    rows.flat_map(|row| {
        stream::iter(match row {
            Ok(row) => row.chunks(LARGEST_PIECE).map(|data| Ok(Chunk { data: data.to_vec() })).collect(),
            Err(error) => vec![Err(status::of(error))],
        })
    })
}

fn piece(message: UploadFileRequest) -> DomainResult<Vec<u8>> {
    match message.message {
        Some(Message::Data(data)) if data.len() <= LARGEST_PIECE => Ok(data),
        Some(Message::Data(_)) => Err(Error::invalid("data", "must be at most 256 KiB in each message")),
        Some(Message::Header(_)) => Err(Error::invalid("header", "must come once")),
        None => Err(Error::invalid("data", "must be given in each message after the first")),
    }
}

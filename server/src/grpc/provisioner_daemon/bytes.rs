//! Bytes beside the stream.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::{Stream, StreamExt as _, stream};
use orgplane_proto::provisioner::v1::upload_request::Message;
use orgplane_proto::provisioner::v1::{
    DownloadRequest, DownloadResponse, Reference, UploadHeader, UploadKind, UploadRequest, UploadResponse,
};
use tonic::{Status, Streaming};

use crate::domain::error::ProtocolFault;
use crate::domain::{Error, Result};
use crate::grpc::convert::stream as convert;
use crate::grpc::status;
use crate::service::{Caller, Service};

/// Bytes of one message.
const PIECE: usize = 256 * 1024;

type Pieces = Pin<Box<dyn Stream<Item = Result<DownloadResponse, Status>> + Send>>;

/// What is left to send: pieces of the row that was read, then the following rows.
struct Rest {
    service: Arc<Service>,
    sha256: String,
    next_row: i32,
    pieces: VecDeque<Vec<u8>>,
}

/// The bytes of a reference, row by row, so that memory stays flat.
pub(super) async fn download(service: Arc<Service>, caller: &Caller, request: DownloadRequest) -> Result<Pieces> {
    let DownloadRequest { job_id, lease_id, reference } = request;
    let hold = convert::hold(&job_id, &lease_id)?;
    let sha256 = convert::reference(reference)?.sha256;
    service.download(caller, &hold, &sha256).await?;
    let rest = Rest { service, sha256, next_row: 0, pieces: VecDeque::new() };
    Ok(Box::pin(stream::try_unfold(rest, |mut rest| async move {
        if rest.pieces.is_empty() {
            let row = rest.service.blob_chunk(&rest.sha256, rest.next_row).await.map_err(status::of)?;
            rest.next_row += 1;
            rest.pieces.extend(row.unwrap_or_default().chunks(PIECE).map(<[u8]>::to_vec));
        }
        Ok(rest.pieces.pop_front().map(|data| (DownloadResponse { data }, rest)))
    })))
}

/// Takes bytes: as many as the header says, and only those that it says.
pub(super) async fn upload(
    service: &Service,
    caller: &Caller,
    mut pieces: Streaming<UploadRequest>,
) -> Result<UploadResponse, Status> {
    let fault = |field, rule: &str| Error::Protocol(ProtocolFault::Field { field, rule: rule.to_owned() });
    let first = pieces.message().await?.and_then(|request| request.message);
    let Some(Message::Header(header)) = first else { return Err(status::of(fault("header", "must come first"))) };
    let UploadHeader { job_id, lease_id, kind, reference } = header;
    convert::known::<UploadKind>("kind", kind).map_err(status::of)?;
    let hold = convert::hold(&job_id, &lease_id).map_err(status::of)?;
    let expected = convert::reference(reference).map_err(status::of)?;
    // A stream that breaks ends the call with the transport's own status, which the service never sees.
    let mut broken = None;
    let data = pieces.by_ref().map(|request| match request.map(|request| request.message) {
        Ok(Some(Message::Data(data))) => Ok(data),
        Ok(Some(Message::Header(_)) | None) => Err(fault("data", "must follow the header")),
        Err(status) => {
            broken = Some(status);
            Err(fault("data", "must be sent whole"))
        }
    });
    let stored = service.upload(caller, &hold, &expected.sha256, expected.size, Box::pin(data)).await;
    if let Some(broken) = broken {
        return Err(broken);
    }
    stored.map_err(status::of)?;
    Ok(UploadResponse { reference: Some(Reference { sha256: expected.sha256, size: expected.size }) })
}

//! `/api/v2/files`: archives, passed on piece by piece while they come in or go out.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::State;
use axum::response::IntoResponse as _;
use futures_util::StreamExt as _;
use http::{HeaderMap, header};
use orgplane_proto::template::v1::file_service_client::FileServiceClient;
use orgplane_proto::template::v1::upload_file_request::Message;
use orgplane_proto::template::v1::{DownloadFileRequest, UploadFileHeader, UploadFileRequest, UploadFileResponse};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;

use crate::call::Call;
use crate::error::{Answer, Error};
use crate::{Gateway, body, reply, stream};

const TAR: &str = "application/x-tar";
const ZIP: &str = "application/zip";
/// What browsers on Windows say.
const ZIP_ON_WINDOWS: &str = "application/x-zip-compressed";
const PIECE: usize = 256 * 1024;
const LIMIT: usize = 100 * 1024 * 1024;
/// Pieces on their way at once.
const AHEAD: usize = 2;
/// However slowly an archive comes, it has come by then.
const LONGEST: Duration = Duration::from_secs(15 * 60);

pub(crate) async fn upload(State(gateway): State<Gateway>, call: Call, headers: HeaderMap, content: Body) -> Answer {
    let given = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let mut content = content.into_data_stream();
    let content_type = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if ![TAR, ZIP, ZIP_ON_WINDOWS].contains(&content_type.as_str()) {
        body::drain(content).await;
        let detail = format!("The Content-Type header is {given:?}; {TAR:?} and {ZIP:?} are accepted.");
        return Err(Error::bad_request("Unsupported content type.").detail(detail));
    }
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > LIMIT as u64) {
        body::drain(content).await;
        return Err(too_large());
    }

    let (pieces, receiver) = mpsc::channel(AHEAD);
    let mut client = FileServiceClient::new(gateway.upstream.clone());
    let mut sent = Box::pin(client.upload_file(call.open_request(ReceiverStream::new(receiver))));
    let sending = async {
        let passed = tokio::select! {
            passed = pass_on(content_type, &mut content, &pieces, call.patience()) => passed,
            // It ended before its time: most likely something is wrong with the archive.
            reply = &mut sent => {
                body::drain(content).await;
                return Ok(reply?.into_inner());
            }
        };
        if let Err(error) = passed {
            // A body that breaks off must not look complete: the call goes before the end of its stream shows.
            drop(sent);
            drop(pieces);
            if error == too_large() {
                body::drain(content).await;
            }
            return Err(error);
        }
        drop(pieces);
        call.unary(sent).await
    };
    let reply: UploadFileResponse = timeout(LONGEST, sending).await.map_err(|_| body::too_slow())??;
    reply::json(if reply.created { 201 } else { 200 }, &reply)
}

pub(crate) async fn download(State(gateway): State<Gateway>, call: Call) -> Answer {
    let mut message = DownloadFileRequest::default();
    call.path("file", &mut message.file)?;
    let mut query = call.query.reader();
    query.text("format", &mut message.format);
    query.finish()?;
    let content_type = if message.format == "zip" { ZIP } else { TAR };
    let mut client = FileServiceClient::new(gateway.upstream.clone());
    let chunks = client.download_file(call.open_request(message));
    let body = stream::body(&call, chunks, stream::Raw).await?;
    Ok(([(header::CONTENT_TYPE, content_type)], body).into_response())
}

/// Sends the header and the whole body, cut into pieces; stops early when nobody takes them any more.
async fn pass_on(
    content_type: String,
    body: &mut BodyDataStream,
    pieces: &mpsc::Sender<UploadFileRequest>,
    patience: Duration,
) -> Result<(), Error> {
    let header = Message::Header(UploadFileHeader { content_type });
    let mut open = pieces.send(UploadFileRequest { message: Some(header) }).await.is_ok();
    let mut taken = 0;
    while let Some(data) = timeout(patience, body.next()).await.map_err(|_| body::too_slow())? {
        let mut data = data.map_err(|_| body::broken_off())?;
        taken += data.len();
        if taken > LIMIT {
            return Err(too_large());
        }
        while open && !data.is_empty() {
            let piece = data.split_to(data.len().min(PIECE)).to_vec();
            open = pieces.send(UploadFileRequest { message: Some(Message::Data(piece)) }).await.is_ok();
        }
    }
    Ok(())
}

/// A 400 as documented, where other bodies get a 413: that one says that an archive unpacks to too much.
fn too_large() -> Error {
    let detail = format!("The limit is {} MiB.", LIMIT / 1024 / 1024);
    Error::bad_request("The file is too large.").detail(detail)
}

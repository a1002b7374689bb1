//! `POST /api/v2/files`: an archive, passed on piece by piece while it comes in.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::State;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http::{HeaderMap, StatusCode, header};
use orgplane_proto::template::v1::file_service_client::FileServiceClient;
use orgplane_proto::template::v1::upload_file_request::Message;
use orgplane_proto::template::v1::{UploadFileHeader, UploadFileRequest};
use tokio::sync::oneshot;

use crate::call::Call;
use crate::error::{Answer, Error};
use crate::{Gateway, body, reply};

const TAR: &str = "application/x-tar";
const PIECE: usize = 256 * 1024;
const LIMIT: usize = 100 * 1024 * 1024;
/// However slowly an archive comes, it has come by then.
const LONGEST: Duration = Duration::from_secs(15 * 60);

pub(crate) async fn upload(State(gateway): State<Gateway>, call: Call, headers: HeaderMap, content: Body) -> Answer {
    let given = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let content_type = given.split(';').next().unwrap_or_default().trim();
    if !content_type.eq_ignore_ascii_case(TAR) {
        let detail = format!("The Content-Type header is {given:?}; only {TAR:?} is accepted.");
        return Err(Error::bad_request("Unsupported content type.").detail(detail));
    }
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > LIMIT as u64) {
        return Err(too_large());
    }

    let (fail, failed) = oneshot::channel();
    let pieces = Pieces {
        body: content.into_data_stream(),
        rest: Bytes::new(),
        taken: 0,
        patience: call.patience(),
        fail: Some(fail),
    };
    let mut client = FileServiceClient::new(gateway.upstream.clone());
    let sent = client.upload_file(call.open_request(pieces.into_messages()));
    // A body that breaks off must not look complete to the service: the call is dropped, never ended.
    let reply = tokio::select! {
        biased;
        Ok(error) = failed => return Err(error),
        reply = tokio::time::timeout(LONGEST, sent) => reply.map_err(|_| body::too_slow())??.into_inner(),
    };
    reply::json(if reply.created { 201 } else { 200 }, &reply)
}

fn too_large() -> Error {
    Error::new(StatusCode::PAYLOAD_TOO_LARGE, "The file is too large.")
        .detail(format!("At most {LIMIT} bytes are accepted."))
}

struct Pieces {
    body: BodyDataStream,
    rest: Bytes,
    taken: usize,
    patience: Duration,
    fail: Option<oneshot::Sender<Error>>,
}

impl Pieces {
    fn into_messages(self) -> impl Stream<Item = UploadFileRequest> + Send + 'static {
        let header = Message::Header(UploadFileHeader { content_type: TAR.to_owned() });
        let header = UploadFileRequest { message: Some(header) };
        let pieces = stream::unfold(self, |mut pieces| async move {
            let data = pieces.next().await?;
            Some((UploadFileRequest { message: Some(Message::Data(data.to_vec())) }, pieces))
        });
        stream::iter([header]).chain(pieces)
    }

    /// The next piece; `None` at the proper end only.
    async fn next(&mut self) -> Option<Bytes> {
        while self.rest.is_empty() {
            match tokio::time::timeout(self.patience, self.body.next()).await {
                Ok(None) => return None,
                Ok(Some(Ok(data))) if self.taken + data.len() <= LIMIT => {
                    self.taken += data.len();
                    self.rest = data;
                }
                Ok(Some(Ok(_))) => return self.break_off(too_large()).await,
                Ok(Some(Err(_))) => return self.break_off(Error::bad_request("The request body ended early.")).await,
                Err(_) => return self.break_off(body::too_slow()).await,
            }
        }
        Some(self.rest.split_to(self.rest.len().min(PIECE)))
    }

    async fn break_off(&mut self, error: Error) -> Option<Bytes> {
        if let Some(fail) = self.fail.take() {
            // The handler may have its answer already.
            let _ = fail.send(error);
        }
        std::future::pending().await
    }
}

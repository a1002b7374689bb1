//! Replies that stream: the first message decides between an answer and an error; what fails later breaks the
//! connection, so that no client takes half an answer for a whole one.

use std::io;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use orgplane_proto::common::v1::Chunk;
use tonic::{Response, Status, Streaming};
use uuid::Uuid;

use crate::call::Call;
use crate::error::Error;

/// Turns a stream's messages into bytes.
pub(crate) trait Render<T>: Send + 'static {
    /// Appends a message.
    fn message(&mut self, message: T, into: &mut Vec<u8>) -> Result<(), Error>;
    /// Appends what follows the last one.
    fn end(&mut self, into: &mut Vec<u8>);
}

/// Bytes as they are.
pub(crate) struct Raw;

impl Render<Chunk> for Raw {
    fn message(&mut self, chunk: Chunk, into: &mut Vec<u8>) -> Result<(), Error> {
        *into = chunk.data;
        Ok(())
    }

    fn end(&mut self, _: &mut Vec<u8>) {}
}

struct State<T, R> {
    messages: Streaming<T>,
    first: Option<T>,
    render: R,
    patience: Duration,
    request_id: Uuid,
    ended: bool,
}

/// Waits for the first message and gives a body that goes on with the others as they come.
///
/// # Errors
/// When the call fails before it has brought anything.
pub(crate) async fn body<T, R>(
    call: &Call,
    reply: impl Future<Output = Result<Response<Streaming<T>>, Status>>,
    render: R,
) -> Result<Body, Error>
where
    T: Send + 'static,
    R: Render<T>,
{
    let mut messages = call.unary(reply).await?;
    let patience = call.patience();
    let first = tokio::time::timeout(patience, messages.message()).await.map_err(|_| Error::deadline())??;
    let ended = first.is_none();
    let state = State { messages, first, render, patience, request_id: call.id(), ended };
    Ok(Body::from_stream(stream::try_unfold(Some(state), next)))
}

async fn next<T, R: Render<T>>(state: Option<State<T, R>>) -> io::Result<Option<(Bytes, Option<State<T, R>>)>> {
    let Some(mut state) = state else { return Ok(None) };
    let mut bytes = Vec::new();
    let message = match state.first.take() {
        Some(message) => Some(message),
        None if state.ended => None,
        None => match tokio::time::timeout(state.patience, state.messages.message()).await {
            Ok(Ok(message)) => message,
            Ok(Err(status)) => return Err(broken(state.request_id, &status.to_string())),
            Err(_) => return Err(broken(state.request_id, "nothing came for too long")),
        },
    };
    match message {
        Some(message) => {
            if state.render.message(message, &mut bytes).is_err() {
                return Err(broken(state.request_id, "a message can't be rendered"));
            }
            Ok(Some((bytes.into(), Some(state))))
        }
        None => {
            state.render.end(&mut bytes);
            Ok(Some((bytes.into(), None)))
        }
    }
}

fn broken(request_id: Uuid, cause: &str) -> io::Error {
    tracing::error!(%request_id, cause, "a streamed answer broke off");
    io::Error::other("the answer broke off")
}

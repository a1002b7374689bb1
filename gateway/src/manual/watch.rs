//! A workspace as it changes: as server-sent events, or over a socket.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::State;
use axum::response::IntoResponse as _;
use futures_util::stream;
use http::{HeaderName, HeaderValue, header};
use orgplane_proto::workspace::v1::workspace_service_client::WorkspaceServiceClient;
use orgplane_proto::workspace::v1::{WatchWorkspaceRequest, WatchWorkspaceResponse};
use serde::Serialize;

use crate::call::Call;
use crate::error::{Answer, Error};
use crate::socket::{self, Speak, Upgrade};
use crate::upstream::{MESSAGE_LIMIT, Upstream};
use crate::{Gateway, json};

const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
/// Tells nginx, and those who took it over from there, to pass events on as they come.
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

pub(crate) async fn by_events(State(gateway): State<Gateway>, call: Call) -> Answer {
    let mut message = WatchWorkspaceRequest::default();
    call.path("workspace", &mut message.workspace)?;
    let mut client = client(&gateway);
    let messages = call.unary(client.watch_workspace(call.open_request(message))).await?;
    let (live, patience, request_id) = (gateway.options.live.clone(), call.patience(), call.id());
    let events = stream::unfold(Some((messages, live)), move |state| async move {
        let (mut messages, live) = state?;
        let rendered = match live.next(&mut messages, patience).await {
            Ok(Some(news)) => event(&news).map(|bytes| (bytes, Some((messages, live)))),
            Ok(None) => return None,
            Err(error) => {
                error.log(request_id);
                failure(&error).map(|bytes| (bytes, None))
            }
        };
        // What can't be rendered ends the stream; the client asks again.
        rendered.ok().map(|(bytes, state)| (Ok::<_, Infallible>(bytes), state))
    });
    let headers = [(header::CONTENT_TYPE, EVENTS), (BUFFERING, HeaderValue::from_static("no"))];
    Ok((headers, Body::from_stream(events)).into_response())
}

pub(crate) async fn by_socket(State(gateway): State<Gateway>, call: Call, upgrade: Upgrade) -> Answer {
    let mut message = WatchWorkspaceRequest::default();
    call.path("workspace", &mut message.workspace)?;
    let mut client = client(&gateway);
    let reply = client.watch_workspace(call.open_request(message));
    socket::answer(&gateway, &call, upgrade, reply, Messages).await
}

fn client(gateway: &Gateway) -> WorkspaceServiceClient<Upstream> {
    WorkspaceServiceClient::new(gateway.upstream.clone()).max_decoding_message_size(MESSAGE_LIMIT)
}

fn event(news: &WatchWorkspaceResponse) -> serde_json::Result<Vec<u8>> {
    match &news.workspace {
        Some(workspace) => data("data", workspace),
        None => Ok(b"event: ping\n\n".to_vec()),
    }
}

fn failure(error: &Error) -> serde_json::Result<Vec<u8>> {
    data("error", error.body())
}

/// JSON has no line breaks of its own, so that it is one line.
fn data<T: Serialize>(kind: &str, value: &T) -> serde_json::Result<Vec<u8>> {
    let mut bytes = format!("event: {kind}\ndata: ").into_bytes();
    json::write(&mut bytes, value)?;
    bytes.extend_from_slice(b"\n\n");
    Ok(bytes)
}

/// `{"type":"data","data":…}`
struct Messages;

#[derive(Serialize)]
struct Event<'a, T> {
    r#type: &'a str,
    data: Option<&'a T>,
}

impl Speak<WatchWorkspaceResponse> for Messages {
    fn message(&self, news: WatchWorkspaceResponse) -> serde_json::Result<Vec<Vec<u8>>> {
        let mut text = Vec::new();
        let r#type = if news.workspace.is_some() { "data" } else { "ping" };
        json::write(&mut text, &Event { r#type, data: news.workspace.as_ref() })?;
        Ok(vec![text])
    }

    fn failure(&self, error: &Error) -> serde_json::Result<Option<Vec<u8>>> {
        let mut text = Vec::new();
        json::write(&mut text, &Event { r#type: "error", data: Some(error.body()) })?;
        Ok(Some(text))
    }
}
